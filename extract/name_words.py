"""Words that are no names, or are words and names. Lower case, without accents."""

from __future__ import annotations

# ruff: noqa: SIM905 - a word a line would hide the lists

#: Written small between the parts of a name.
JOINING = frozenset(
    """
    al bin bint da das de del den der des di do dos du el ibn la las le les los ten ter van von
    """.split()
)

#: Parts of names that identify nobody.
PARTICLES = JOINING | frozenset(
    """
    a and don dona dr e esq fr i jr mac madam mc md miss mr mrs ms mx o of phd prof rev saint
    san santa senor senora sir sr sra srta st the y
    """.split()
)

#: Given and family names that are ordinary words of English or Spanish: masked only where they
#: are written with a capital.
COMMON = frozenset(
    """
    able abril agosto alma amado amber amparo an angel angeles april art august autumn bacon
    baker ball bank banks barber barrio barrios be bean bell berry best bill bird bishop black
    blanca blanco blue bond book branch bravo bridge bridges bright brook brooks brown buck
    bueno bush but butler caballero cabello calle calvo camino campo campos can car card
    carpenter carter casa casas case cash castillo chance chase chip christian christmas church
    cielo clara clay cliff close coast consuelo cook corona cortes cotton court cross crow cruz
    crystal dale dawn day days dean delgado destiny dolores domingo drew driver duque dusty
    early earth east esperanza eve fair faith farmer favor fe feliz field fields fish fisher
    flor flores flowers fog for ford forest fortune fox franca franco frank free freeman friend
    frost fuentes garden gardener gate gates gene gentle ginger glass gloria gold good grace
    gracia grant gray green grey guerrero guy hall hand hands hardy hart has hawk hazel head
    heart heath heather her hidalgo high hill hills his holly home hope house hunt hunter
    iglesia iglesias iris iron ivy jack jade jay joy judge julio junco june justice key keys
    king knight lago lake lamb lance land lane law laws leal leon light lily linda little long
    lot love luna lunes luz major mar march marina mark market marques marsh mason max may mayo
    mayor meadows mercedes mercy merry milagros miles miller modesto monte montes moon moore
    moreno moss nick nieves noble norm north not now oak olive our out pace page palacios palma
    park parks parra pastor pat paz peace pearl pena penny pepper pike pilar pino piper place
    plant plata plaza pole pond pool porter post pound powers prado price prince puente queen
    quick rain ramos ray reed rey reyes rice rich rico rio rios river rivers road rob robin
    rock rojas rojo root rosa rosales rosario rosas rose roses royal rubio ruby rush rusty
    sabado sage salvador sand sands sandy santos school see self shade sharp she shepherd ship
    shore short sierra silver singer skip sky small smart snow socorro sol son song south
    spring star stark steel sterling stone stones storm story strange street strong sue summer
    summers sun sunny swan sweet swift temple the too toro torre torres town trace train tree
    true turner two vale valle van vega ventura verde victoria viernes vine viola violet wade
    walker wall walls war ward was water waters way weaver week weeks well wells west white who
    why will winter winters wise wolf wood woods word words work workman worth yard yes york
    you young
    """.split()
)

#: Addressees, offices, and what people call themselves in place of a name.
NO_NAMES = frozenset(
    """
    admin administration agency alcalde alcaldesa alcaldessa all amigos anon anonima anonimo
    anonymous answer apartment attorney authority avenue ayuntamiento board boulevard bye
    captain ceo chair chairman chairperson chairwoman chief citizen citizens city ciudad
    ciudadana ciudadano ciudadanos clerk colegas colleagues comision commissioner committee
    community concejal concejo concerned congressman congresswoman consejo council councillor
    councillors councilman councilmember councilor councilors councilwoman county dad
    departamento department departments dept deputy desconocido dios director district distrito
    driver equipo estimados everybody everyone fireman friday friends frustrated gente god
    goodness governor guys hello help hi hoa hola homeowner inc llc lord ltd management manager
    mayor member members mom monday mother name neighbor neighborhood neighbors neighbour
    neighbourhood neighbours nobody none office officer official officials ok okay operator
    owner parent parents payer people person please police president presidenta regards
    resident residente residentes residents sargento saturday secretary senator senor senora
    senoras senores sergeant sheriff sincerely speaker staff street sunday supervisor taxpayer
    taxpayers team tenant tenants thanks thursday todas todos tuesday unknown user usuario
    vecina vecinas vecino vecinos voter voters wednesday y'all
    """.split()
)
