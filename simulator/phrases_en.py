"""What an English-speaking resident may say: fragments by topic and by what they feel.

Slots: {street} {cross} {park} {school} names; {n} 2-9, {nth} 4th-9th, {nn} 11-60,
{hundreds} 120-980; {day} weekday, {month}, {route} bus line, {hour} 1-11.
"""

SITUATIONS: dict[str, dict[str, tuple[str, ...]]] = {
    "sanitation": {
        "negative": (
            (
                "The truck skipped our side of {street} again and the bags have been torn open "
                "by dogs."
            ),
            "{n} weeks without a recycling pick-up on {street} and nobody can tell me why.",
            (
                "Our bins were thrown down half in the road, one wheel is broken, and I paid for "
                "that bin."
            ),
            (
                "Somebody dumped a sofa and paint cans behind {street} and it has sat there "
                "since {month}."
            ),
            "The carts on {street} stink so badly that we keep the windows shut in summer.",
            "I took the day off for a bulky pick-up on {day} and no truck ever came.",
            "The litter baskets by {park} overflow every weekend and it all ends up in the creek.",
            "My mother is frail and you want her to drag two carts to the corner of {cross}.",
            "You changed collection to {day} without a letter, so the whole block missed it.",
            "Glass from the recycling truck is all over {street} and my kid's tire is flat again.",
            (
                "I reported the missed collection {n} times and every ticket was closed with "
                "nothing picked up."
            ),
            "The alley off {street} has become a dump, and I am ashamed to have guests.",
        ),
        "neutral": (
            "Which day is the holiday collection for {street} this year?",
            "The yard-waste cart at {hundreds} {street} has a cracked lid and needs a swap.",
            "Do milk cartons go with paper or with plastic?",
            "There are {n} bags and a mattress on the corner of {cross}.",
            "I would like a second recycling cart for a household of {n}.",
            "Collection on {street} came on {day} instead of the usual day.",
            "Is there a drop-off for old batteries near {park}?",
            "The calendar lists our block under two routes, please say which one holds.",
        ),
        "positive": (
            "The crew on {street} even put the lids back on, and they wave at my son every time.",
            (
                "I asked for a bulky pick-up and the old couch was gone by {hour} o'clock the "
                "next morning."
            ),
            "The new carts on {street} roll easily and the raccoons can't open them any more.",
            "Composting pick-up has cut our trash by half and it doesn't smell at all.",
            "They cleared the dump behind {street} in one day, the alley looks wonderful.",
            "Whoever answered about the missed cart sent a truck the same afternoon.",
            "The street sweepers have {street} looking better than in years.",
            "Collection has been on time for {nn} weeks in a row, I actually counted.",
        ),
    },
    "roads": {
        "negative": (
            "I lost a rim in the pothole at {cross} and it had been reported {n} times already.",
            "The patch on {street} lasted {n} weeks before the hole came back bigger.",
            "The light at {cross} lets {n} cars through and then makes everyone sit.",
            "There is no sidewalk on {street}, so kids walk in the traffic to {school}.",
            "Cars park across the crossing at {cross} every single day and nobody writes a ticket.",
            "You painted a bike lane on {street} that ends in a parked truck.",
            "The detour on {street} was put up without signs and I sat there for {nn} minutes.",
            "My wheelchair can't get over the broken curb at {cross}.",
            "Street lights on {street} have been dark since {month} and I fell last night.",
            "They tore up {street} three times this year and left it like a washboard.",
            (
                "Snow was piled over the curb ramps on {street}, so my father was stuck at home "
                "for {n} days."
            ),
        ),
        "neutral": (
            "Pothole at {cross}, eastbound lane, about two feet wide.",
            "When does the resurfacing of {street} begin?",
            "The stop sign at {cross} is turned a little toward the wrong street.",
            "Street light number {hundreds} on {street} is out.",
            "Please say whether residents of {street} need a new parking permit in {month}.",
            "The lane markings on {street} have worn off between the school and the bridge.",
            "I suggest a four-way stop at {cross} and would like to know how that is decided.",
            "The walk signal at {cross} lasts {nn} seconds.",
        ),
        "positive": (
            "The new crossing at {cross} means I let my daughter walk to {school} by herself.",
            "{street} has been resurfaced and it is like driving on glass.",
            "I reported a pothole on {day} and it was filled before I got home.",
            (
                "Thank you for the bike lane on {street}, I ride to work now and feel ten years "
                "younger."
            ),
            "The plow reached {street} before sunrise, which has never happened before.",
            "The retimed lights along {street} save me a good {n} minutes each way.",
            "Somebody fixed the curb ramp at {cross} so neatly that my walker glides over it.",
            "The brighter lamps on {street} make the walk home feel safe.",
        ),
    },
    "transit": {
        "negative": (
            "The {route} did not show up twice this week and I was late to work both times.",
            "I waited {nn} minutes at {cross} in the rain while the app said two minutes.",
            "Line {route} is so full by {hour} that it drives straight past us.",
            (
                "You cut the evening run of the {route}, so now I walk home along {street} in "
                "the dark."
            ),
            "The ramp on the {route} was broken and the driver left me at the curb.",
            "The fare went up and the {route} got slower, explain that to me.",
            "There is no bench and no roof at {cross}, and the bus comes whenever it likes.",
            (
                "The transfer at {cross} misses by {n} minutes every day, as if it was designed "
                "that way."
            ),
            "Somebody smoked all the way on the {route} and the driver did nothing.",
            "My card was charged twice on line {route} and nobody has answered for {n} weeks.",
        ),
        "neutral": (
            "Does the {route} stop at {school} on Saturdays?",
            "The timetable at {cross} still shows the {month} hours.",
            "I left an umbrella on line {route} on {day}, seat near the rear door.",
            "How do I put a youth fare on a new card?",
            "The shelter at {cross} has a loose panel on the left side.",
            "Please consider a stop on the {route} between {street} and the clinic.",
            "The {route} ran on its Sunday schedule this {day}.",
            "Is the reduced fare for people over 65 valid before {hour} in the morning?",
        ),
        "positive": (
            "The {route} every {nn} minutes has changed my life, I sold the second car.",
            "The driver of the {route} waited for my mother and her walker with such patience.",
            "Finally a shelter with a light at {cross}, and it is spotless.",
            "The night run of line {route} got me home safe after every shift this {month}.",
            "The new app shows exactly where the bus is and it has been right every time.",
            "My son loves the new electric buses, so quiet and so clean.",
            "I left my bag on the {route} and it was handed back with everything in it.",
            "Free rides for students were a great idea, the whole team takes the {route} now.",
        ),
    },
    "parks": {
        "negative": (
            "The swings at {park} have been broken since {month} and the kids just stare at them.",
            "There is broken glass and worse in the sandbox at {park}.",
            "You cut down {n} healthy oaks on {street} and planted nothing.",
            "The bathrooms at {park} are locked at {hour} and everyone goes behind the trees.",
            "Dogs run loose at {park} and one bit my niece.",
            (
                "A branch has been hanging over the path at {park} for {n} weeks, somebody will "
                "get killed."
            ),
            (
                "The pool closed for repairs in {month} and nobody says when it opens, the "
                "summer is lost."
            ),
            "The library branch on {street} cut its hours and my students have nowhere to go.",
            "The grass at {park} is up to my knees and full of ticks.",
            "They took the benches out of {park} and now my grandfather can't rest on his walk.",
        ),
        "neutral": (
            "What time does {park} close in {month}?",
            "There is a limb down on the west path of {park}.",
            "The drinking fountain at {park} is turned off.",
            "How do we reserve the picnic tables at {park} for {nn} people?",
            "Two of the {n} lamps along the pond in {park} are out.",
            "Are dogs allowed on the lower field of {park} in the mornings?",
            "A street tree in front of {hundreds} {street} is missing its stake.",
            "The library on {street} is listed with two different opening hours.",
        ),
        "positive": (
            "The new playground at {park} is the happiest place in the neighborhood.",
            "The gardeners at {park} have made it so lovely that I go there for lunch every day.",
            "Somebody fixed the swing {n} days after I wrote, and my twins have not stopped since.",
            "Story hour at the library on {street} is the best part of our week.",
            "The trees planted along {street} have come up beautifully.",
            "Swimming lessons at the pool were cheap, friendly and well run.",
            "The evening concerts at {park} brought out people I had not seen for years.",
            "Clean bathrooms at {park}, I never thought I would write that, bravo.",
        ),
    },
    "permits": {
        "negative": (
            (
                "My deck permit has been in review for {nn} weeks and every call gives me "
                "another answer."
            ),
            "They lost my drawings for {street} and asked me to pay the fee again.",
            "The inspector never came on {day}, and my contractor charged me for the wait.",
            "I have been sent between {n} counters for one sign above my shop.",
            "The neighbor at {hundreds} {street} builds without a permit, and you look away.",
            "The portal threw out my application at the last page for the third time.",
            "We opened {n} months late because nobody could say which form the kitchen hood needs.",
            "Rejected over a missing initial, after {nn} days of silence.",
            "The fees cost more than the fence, it makes no sense to do it by the book.",
            "Every review brings new comments that should have been in the first one.",
        ),
        "neutral": (
            "Do I need a permit to replace {n} windows on {street}?",
            "Where do I see which stage application {hundreds} is in?",
            "The checklist for a garage names a form that is not on the site.",
            "Please tell me which zoning applies to {hundreds} {street}.",
            "The inspection on {street} was moved from {day} to the week after.",
            "How long is a plumbing permit good for once it is issued?",
            (
                "The hearing for {street} is listed at {hour} in one place and an hour later in "
                "another."
            ),
            "We are asking for a copy of the {month} inspection report.",
        ),
        "positive": (
            (
                "The lady at the permit counter checked my drawings with me, and I had the "
                "permit in {n} days."
            ),
            "Applied online on {day}, approved by the end of the week, I was amazed.",
            "The inspector on {street} was kind, on time, and taught me how to fix it right.",
            "The new checklist is clear, I got everything in order the first time.",
            (
                "Our bakery opened early because the health and fire visits were done together, "
                "brilliant."
            ),
            "Somebody from the office called back about my fence and sorted it out in {n} minutes.",
            "The tracking page tells me just where my application is, no more guessing.",
            "As a small contractor I can say the wait is half of what it was, well done.",
        ),
    },
    "housing": {
        "negative": (
            "No heat at {hundreds} {street} for {n} days and the landlord laughs at us.",
            "Our rent went up by {hundreds} dollars and there is still mold over the crib.",
            "The shelter on {street} turned a mother with two kids away on the coldest night.",
            "I have been on the waiting list for {n} years and moved up by {nn} places.",
            (
                "The ceiling came down in our kitchen on {street}, and the inspector closed the "
                "case by phone."
            ),
            (
                "They are evicting the whole building on {street} to make it into lofts, it "
                "breaks my heart."
            ),
            "The elevator has been dead since {month}, and my aunt lives on the {nth} floor.",
            "People sleep in the doorway of the clinic on {street} and nobody comes to help them.",
            "I pay {hundreds} for a room with roaches, and I am scared to complain.",
            (
                "The empty house at {hundreds} {street} has been broken into again, we are all "
                "afraid of a fire."
            ),
        ),
        "neutral": (
            "Where can a tenant on {street} ask about the deposit rules?",
            "How is the waiting list for apartments on {street} ordered?",
            "The house at {hundreds} {street} has stood empty since {month}.",
            "I would like the date of the last inspection of {hundreds} {street}.",
            "Is the rent help open to people who moved here in {month}?",
            (
                "The landlord of {hundreds} {street} has changed, the register still shows the "
                "old one."
            ),
            "Please add a Spanish version of the tenant handbook.",
            "The shelter on {street} takes {nn} people according to your page.",
        ),
        "positive": (
            "The housing inspector made them fix our heat in {n} days, we are so grateful.",
            "I got the keys to an apartment on {street} and cried all the way up the stairs.",
            "The rent program kept us in our home, and I will not forget it.",
            (
                "The tenant clinic on {day} was wonderful, the lawyer explained everything and "
                "did not rush me."
            ),
            (
                "The new homes on {street} are handsome, and our teachers can afford to live "
                "here again."
            ),
            "The outreach team found my brother a bed and stayed with him, bless them.",
            "Our landlord repaired the stairs within a week after your letter.",
            "It is good to see the empty house on {street} full of life again.",
        ),
    },
    "safety": {
        "negative": (
            "My car was broken into on {street} for the third time and all I got was a number.",
            (
                "Racers use {street} as a track every {day} night and I lie awake waiting for "
                "the crash."
            ),
            "I called about shots near {park} and nobody came for {nn} minutes.",
            "The underpass at {cross} is pitch black and I am scared to walk there.",
            "They stopped my nephew for nothing on {street} and talked to him like dirt.",
            "Another crash at {cross}, the {nth} this year, does somebody have to die first.",
            "The hydrant on {street} was blocked by a car when the kitchen burned.",
            "Packages vanish from our porch on {street} every week and nobody cares.",
            (
                "Someone follows women home from the stop at {cross}, and the police told us to "
                "walk in groups."
            ),
            "The fire house on {street} was closed, and the engine took {nn} minutes to reach us.",
        ),
        "neutral": (
            "Is there a block watch for {street} and whom do I ask?",
            "The hydrant at {cross} is missing its cap.",
            "How do I get a copy of a crash report from {month}?",
            "A parked car with no plates has been on {street} since {day}.",
            "Does the fire department check smoke alarms in private homes?",
            "The siren test was at {hour} this month instead of noon.",
            "Please say who decides where a crossing guard stands, we asked for one at {cross}.",
            "The camera sign on {street} is covered by a branch.",
        ),
        "positive": (
            "The firefighters were at {street} in {n} minutes and saved our dog as well.",
            "Officers on bikes know everyone on {street} by name, and it feels safe again.",
            "Since the speed cushions went in at {cross} we have not had one crash.",
            "The dispatcher kept me calm until help came, I owe her my life.",
            "The crossing guard at {school} is a treasure.",
            (
                "New lights in the underpass at {cross}, finally I can take the short way home "
                "with a smile."
            ),
            "They found my stolen bike and brought it to the door, I could not believe it.",
            "The smoke alarm visit was quick and friendly and it was free.",
        ),
    },
    "noise": {
        "negative": (
            "The bar on {street} plays until {hour} in the morning and my baby never sleeps.",
            "Leaf blowers at six on a {day}, every week, it drives me crazy.",
            "The generator behind {hundreds} {street} has hummed day and night since {month}.",
            "Fireworks over {park} for {n} nights running and my dog shakes for hours.",
            "I have called about the party house on {street} {n} times and nobody ever comes.",
            "Jackhammers on {street} at night, without a notice, before my daughter's exam.",
            "Loud motorcycles go round and round {park}, I can't hear my own television.",
            (
                "The trucks unload behind our bedroom at {hour} every night and I am at the end "
                "of my strength."
            ),
            "Your noise line rings and rings, and the music goes on.",
        ),
        "neutral": (
            "Until what hour is outdoor music allowed on {street}?",
            "There is construction noise at {cross} from {hour} on {day}s.",
            "How is the noise level measured, and at which distance?",
            "The concert at {park} on {day} ended at {hour}.",
            "Do leaf blowers fall under the quiet hours?",
            "An alarm has been ringing at {hundreds} {street} since this morning.",
            "Please send the permit hours for the night work on {street}.",
        ),
        "positive": (
            "The bar on {street} turned it down after your visit, and we sleep again.",
            "Since the trucks were moved to the day it is blissfully quiet on {street}.",
            "The new asphalt on {street} is so quiet that I hear birds.",
            "The officer talked with the neighbors so kindly that we are all friends now.",
            "Quiet hours at {park} are working, thank you for listening to us.",
            (
                "Night work on {street} was announced, short, and over when they said it would "
                "be, well done."
            ),
            "I had hoped for less noise from the depot, and you really did it.",
        ),
    },
    "water": {
        "negative": (
            "Brown water from the tap on {street} for {n} days and you tell me to let it run.",
            "Our basement on {street} flooded again because the drain at {cross} is never cleaned.",
            "Sewage came up through my shower on {day}, I lost everything on the floor.",
            "The bill jumped to {hundreds} dollars and nobody has read that meter in a year.",
            "The street at {cross} turns into a lake every time it rains, and cars just spray us.",
            "You shut off the water on {street} without a word while I had a newborn at home.",
            "The hole you dug for the main on {street} has been open since {month}.",
            "It smells of rotten eggs by the outfall at {park}, it makes us sick.",
            "The pressure on {street} is so weak that I can't rinse my hair.",
            (
                "After the storm we carried out my mother's photographs in buckets, and the pump "
                "was off."
            ),
        ),
        "neutral": (
            "Water is standing at {cross}, about {n} inches deep.",
            "How often is the drinking water tested near {school}?",
            "The storm drain in front of {hundreds} {street} is covered with leaves.",
            "Please tell me when the main on {street} will be flushed.",
            "My meter at {hundreds} {street} shows a reading other than the bill.",
            "Is the water hardness for our district published?",
            "There is a small leak at the hydrant on {cross}.",
            "Do I pay a sewer fee for filling a garden pond?",
        ),
        "positive": (
            (
                "The crew cleared the drain at {cross} before the storm and our basement stayed "
                "dry for once."
            ),
            (
                "The leak on {street} was fixed the same night in pouring rain, those people are "
                "heroes."
            ),
            "The water tastes so much better since the new filters.",
            (
                "They explained my bill line by line and took off the {hundreds} dollars, I am "
                "relieved."
            ),
            "The rain garden at {cross} works, and it is pretty too.",
            "We had notice, bottled water, and the main was back {n} hours early, excellent work.",
            (
                "Thank you for the new pump on {street}, the first storm in years that I slept "
                "through."
            ),
        ),
    },
    "budget": {
        "negative": (
            (
                "My property tax went up by {hundreds} dollars, and the street still looks like "
                "a war zone."
            ),
            "You found {n} million for a stadium but not one dollar for {school}.",
            "Another consultant, another study, and {street} is still flooded.",
            "The trash fee hits a widow like me harder than any of you on that dais.",
            "Nobody can tell me where the {n} million for {park} went, and that stinks.",
            "You cut the library to save pennies and gave yourselves new chairs.",
            (
                "The hearing on the budget was at two in the afternoon, when working people "
                "can't come."
            ),
            "We pay more every {month} and get less every year.",
            "The late fee was {hundreds} dollars for a letter I never got, it is robbery.",
        ),
        "neutral": (
            "Where can I read the {month} spending report?",
            "How much of the property tax goes to the parks?",
            "What does the city pay per mile for resurfacing?",
            "The table on page {nn} of the budget does not add up to the total in the summary.",
            "Please say when the hearing on fees is held.",
            "I pay the trash fee by mail and would like to know whether that stays possible.",
            "Is the {n} percent increase for one year or for good?",
        ),
        "positive": (
            "The budget page is clear at last, I could see what every dollar on {street} bought.",
            "It was good to see the council put {n} million into sidewalks, well spent.",
            "The fee waiver took a weight off my shoulders, thank you.",
            "I voted on a project for {park} and it has been built, that made my year.",
            "The finance clerk found I had overpaid {hundreds} dollars and sent it back.",
            "My taxes went up a little and the streets got a lot better, I call that a fair deal.",
            "The evening budget workshop was friendly, and they really listened.",
        ),
    },
    "service": {
        "negative": (
            "I was on hold with 311 for {nn} minutes and then the line went dead.",
            "They closed my ticket about {street} without doing a thing.",
            "The app crashes whenever I add a photo, what is it for.",
            "On {day} the clerk sighed each time I asked her to say it again.",
            "I have told the same story to {n} people and not one wrote it down.",
            "Council gave me two minutes and then looked at their phones.",
            "The site says the office is open until {hour}, the door was locked.",
            "Three e-mails about {street} and not even an automatic reply.",
            "The new phone menu sends you round in circles until you give up.",
            "My request has been 'in progress' since {month}, nobody can say what that means.",
        ),
        "neutral": (
            "Is there a way to see all my tickets in one list?",
            "Which number do I call after {hour} in the evening?",
            "The web form asks for a zip code and takes only five digits.",
            "Ticket {hundreds} about {street} shows no district.",
            "Are the council minutes of {month} published yet?",
            "I was given two request numbers for the same report.",
            "Please add {street} to the list of streets in the app.",
            "Does the line have someone who speaks Spanish on {day}s?",
        ),
        "positive": (
            (
                "I called 311 about {street}, a real person answered at once, and it was solved "
                "by {day}."
            ),
            "The young man on the line was patient and funny and fixed it in {n} minutes.",
            "The app is a joy, photo, send, done, and then they tell you when it is fixed.",
            "They called me back just to ask if I was happy with it, who does that, wonderful.",
            "The clerk stayed after {hour} to help my father with his form.",
            "The council really listened to us about {street}, I left the room proud of this city.",
            "Getting a message at each step is great, I never have to wonder.",
            "The new web page found my answer in seconds.",
        ),
    },
    "health": {
        "negative": (
            "Rats run along {street} in daylight and one was in my daughter's stroller.",
            "The clinic on {street} gave me an appointment in {n} months, I am in pain now.",
            "The smell from the plant by {park} burns our throats.",
            "A stray dog pack by {cross} scares the kids on the way to {school}.",
            "It was {nn} degrees in the senior center because the cooling was off, people fainted.",
            "Mosquitoes breed in the pond at {park} and nobody sprays or drains it.",
            "Needles in the bushes at {park} again, I found {n} this week.",
            "The restaurant at {hundreds} {street} made us all ill, and it is still open.",
            "My asthma is worse every {month} since the idling trucks came to {street}.",
        ),
        "neutral": (
            "When is the flu shot day at the clinic on {street}?",
            "There is a dead raccoon on the shoulder at {cross}.",
            "Where are the cooling centers in {month}?",
            "A stray cat with {n} kittens lives behind {hundreds} {street}.",
            "How do I register a dog that I brought from another state?",
            "The air monitor at {school} has shown no value since {day}.",
            "Please send the last kitchen inspection of {hundreds} {street}.",
        ),
        "positive": (
            "The nurse at the clinic on {street} was so gentle with my frightened boy.",
            "They baited the alley on {day} and we have not seen one rat since.",
            "The cooling center saved my neighbor in the heat, and the staff were lovely.",
            "Animal control caught the hurt deer at {cross} with such care.",
            "Walk-in shots took {n} minutes, free and friendly.",
            "The health van at {park} found my high blood pressure in time, I am so thankful.",
            "The air around {school} is so much better since the trucks were rerouted.",
        ),
    },
}

OPENERS: dict[str, tuple[str, ...]] = {
    "negative": (
        "I do not write often, but this has gone too far.",
        "Once more, the same story.",
        "I am at my wits' end.",
        "This is my {nth} message about it.",
        "The people who do the work are fine, the planning is not.",
        "I used to defend this city.",
        "Honestly?",
        "You asked, so here it is.",
        "Let me be blunt.",
        "I hoped this would be better by now.",
        "Great job, as always.",
        "Wow, just wow.",
    ),
    "neutral": (
        "A short question.",
        "For your records.",
        "Just to let you know.",
        "I live near {cross}.",
        "Reporting this for the block.",
        "One thing I noticed on {day}.",
        "Not urgent.",
        "Two points, one of them small.",
        "I looked on the site first.",
        "Following up on last week.",
    ),
    "positive": (
        "Credit where it is due.",
        "I usually only write to complain, not today.",
        "Something good for a change.",
        "I have to say it.",
        "You asked, so here it is.",
        "I was skeptical and I was wrong.",
        "After years of grumbling, a thank-you.",
        "Please pass this on to the crew.",
        "What a difference.",
        "Small thing, big smile.",
    ),
}

FEELINGS: dict[str, tuple[str, ...]] = {
    "negative": (
        "It is exhausting.",
        "I feel forgotten out here.",
        "Nobody seems to care.",
        "I am furious.",
        "It makes me want to move away.",
        "How hard can it be?",
        "Thanks for nothing.",
        "We deserve better than this.",
        "I am worried somebody will get hurt.",
        "It would be funny if it were not so sad.",
        "This would never happen on the rich side of town.",
        "I have lost all trust in the process.",
        "What a mess.",
        "It is not acceptable.",
        "I am tired of being told to wait.",
        "My kids ask me why and I have no answer.",
        "Frankly it is insulting.",
        "It gets worse every month.",
        "I don't expect miracles, only that somebody shows up.",
        "Is anyone even reading these?",
    ),
    "neutral": (
        "No rush on this.",
        "I could not find it on the site.",
        "It may be a matter for another department.",
        "I have a photo if that helps.",
        "It is the same on both sides of the street.",
        "My neighbor says it has been like that for a while.",
        "I do not know who is in charge of it.",
        "It used to be listed on the old page.",
        "Either answer would be all right.",
        "It is nearest to the {street} entrance.",
    ),
    "positive": (
        "It makes me glad to live here.",
        "I am impressed.",
        "You made an old woman very happy.",
        "Keep it up.",
        "It is the little things.",
        "I felt heard for the first time.",
        "That is how it should work.",
        "We are lucky to have these people.",
        "I told everyone on the block.",
        "What a relief.",
        "Five stars from our house.",
        "It really brightened my week.",
        "Not bad at all, not bad at all.",
        "I could hug somebody.",
        "More of this, please.",
        "It gives me hope.",
    ),
}

CLOSERS: dict[str, tuple[str, ...]] = {
    "negative": (
        "Fix it, please, before the winter.",
        "I expect an answer this time.",
        "When will somebody come?",
        "Do your job.",
        "I will bring it to the next council meeting.",
        "I will not let this go.",
        "Shame on you.",
        "You have my number, and you have had it {n} times.",
        "We vote, by the way.",
        "Please, just please, do something.",
    ),
    "neutral": (
        "Thank you for checking.",
        "Please let me know either way.",
        "An e-mail is fine.",
        "I will look again next week.",
        "That is all.",
        "Thanks in advance.",
        "Could you point me to the right office?",
        "Please note it.",
    ),
    "positive": (
        "Thank you, all of you.",
        "Please thank the crew from {street}.",
        "Well done.",
        "Whoever did this deserves a raise.",
        "Gracias and thank you!",
        "Happy resident here.",
        "Love it.",
        "You have my respect.",
        "Cheers from {street}.",
    ),
}

GREETINGS = ("Hello,", "Dear city,", "Good morning,", "To whom it may concern,", "Hi there,", "")
SIGN_OFFS = ("Regards,", "Best,", "Sincerely,", "Thanks,", "Yours,")
AT_COUNCIL = (
    "Good evening, members of the council.",
    "Thank you, chair.",
    "My name is in the record, I live off {street}.",
    "I have lived on {street} for {nn} years.",
    "I speak for {n} families near {park}.",
    "Good evening.",
)
SUBJECTS: dict[str, tuple[str, ...]] = {
    "negative": (
        "Still not fixed",
        "{street}, again",
        "Complaint",
        "Please do something",
        "Enough",
    ),
    "neutral": ("Question", "{street}", "For your information", "A request", "Re: {month}"),
    "positive": ("Thank you", "A compliment", "{street}: well done", "Good news", "Praise"),
}
DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
MONTHS = (
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
)
