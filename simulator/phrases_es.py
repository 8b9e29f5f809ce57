"""What a Spanish-speaking resident may say; slots and shape as in `phrases_en`."""

SITUATIONS: dict[str, dict[str, tuple[str, ...]]] = {
    "sanitation": {
        "negative": (
            "Otra vez el camión no pasó por {street} y las bolsas están rotas en la banqueta.",
            "Llevamos {n} semanas sin recolección de reciclaje y nadie nos explica nada.",
            "Tiraron un sillón y llantas detrás de {street}, ya huele horrible.",
            (
                "Cambiaron el día de la basura sin avisar y toda la cuadra se quedó con los "
                "botes llenos."
            ),
        ),
        "neutral": (
            "¿Qué día pasa el camión por {street} cuando es feriado?",
            "Hay {n} bolsas y un colchón en la esquina de {cross}.",
            "Quisiera pedir un segundo bote azul para {n} personas.",
        ),
        "positive": (
            "Pedí que se llevaran un sillón viejo y al otro día ya no estaba, qué maravilla.",
            "Los muchachos del camión en {street} siempre saludan y dejan todo limpio.",
            "Con los botes nuevos ya no entran los mapaches, estamos felices.",
        ),
    },
    "roads": {
        "negative": (
            "Reventé una llanta en el bache de {cross} y ya lo habían reportado {n} veces.",
            (
                "No hay banqueta en {street} y los niños caminan entre los carros para llegar a "
                "la escuela."
            ),
            "Las lámparas de {street} están apagadas desde hace {n} semanas y me da miedo salir.",
            "Parcharon {street} y el hoyo volvió más grande, una burla.",
        ),
        "neutral": (
            "Bache en {cross}, carril de la derecha.",
            "¿Cuándo empieza la repavimentación de {street}?",
            "La lámpara número {hundreds} de {street} no prende.",
        ),
        "positive": (
            "El cruce nuevo de {cross} quedó muy bien, mi hija ya camina sola a la escuela.",
            "Reporté un bache el lunes y el martes ya estaba tapado, gracias de verdad.",
            "Pavimentaron {street} y da gusto manejar.",
        ),
    },
    "transit": {
        "negative": (
            "La {route} no llegó dos veces esta semana y perdí medio día de pago.",
            "Esperé {nn} minutos bajo la lluvia en {cross} y la aplicación decía que ya venía.",
            (
                "Quitaron la corrida de la noche de la línea {route} y ahora regreso caminando a "
                "oscuras."
            ),
            "El chofer de la {route} cerró la puerta en la cara de mi mamá.",
        ),
        "neutral": (
            "¿La {route} para cerca de la clínica los sábados?",
            "El horario en la parada de {cross} es el del mes pasado.",
            "¿Cómo pido la tarjeta con descuento para estudiantes?",
        ),
        "positive": (
            "La {route} ahora pasa cada {nn} minutos y llego a tiempo a todo.",
            "El chofer de la {route} esperó a mi abuela con mucha paciencia, Dios lo bendiga.",
            "Por fin hay techo y luz en la parada de {cross}, quedó preciosa.",
        ),
    },
    "parks": {
        "negative": (
            "Los columpios de {park} siguen rotos y los niños lloran cada domingo.",
            "Hay vidrios en el arenero de {park}, mi hijo se cortó.",
            "Cortaron {n} árboles sanos en {street} y no plantaron ninguno.",
            "Los baños de {park} dan asco, da pena llevar a la familia.",
        ),
        "neutral": (
            "¿A qué hora cierra {park} en verano?",
            "Hay una rama caída en el sendero de {park}.",
            "¿Cómo se reservan las mesas de {park} para {nn} personas?",
        ),
        "positive": (
            "El área de juegos nueva de {park} es lo mejor del barrio.",
            "Los jardineros tienen {park} hermoso, voy todos los días.",
            "La hora de cuentos en la biblioteca de {street} nos alegra la semana.",
        ),
    },
    "permits": {
        "negative": (
            "Llevo {nn} semanas esperando el permiso y cada quien me dice otra cosa.",
            "Perdieron mis planos y quieren cobrarme otra vez.",
            "El inspector nunca llegó y el albañil me cobró el día.",
        ),
        "neutral": (
            "¿Necesito permiso para cambiar {n} ventanas?",
            "¿Dónde veo en qué etapa va la solicitud {hundreds}?",
            "La lista de requisitos menciona un formulario que no está en la página.",
        ),
        "positive": (
            "La señorita de permisos revisó todo conmigo y en {n} días ya lo tenía.",
            "El inspector fue amable y me enseñó cómo dejarlo bien.",
            "Abrimos la panadería antes de lo pensado, todo el trámite salió perfecto.",
        ),
    },
    "housing": {
        "negative": (
            "Llevamos {n} días sin calefacción en {street} y el dueño se ríe de nosotros.",
            "Me subieron la renta {hundreds} dólares y sigue el moho encima de la cuna.",
            "Nos quieren sacar a todos del edificio de {street}, no sé a dónde ir.",
        ),
        "neutral": (
            "¿Dónde pregunta un inquilino por las reglas del depósito?",
            "La casa de {street} {hundreds} está vacía desde hace {n} meses.",
            "¿La ayuda para la renta es también para quien llegó este año?",
        ),
        "positive": (
            "La inspectora hizo que arreglaran la calefacción en {n} días, muy agradecidos.",
            "Me dieron las llaves del departamento en {street} y lloré de alegría.",
            "La abogada de la clínica de inquilinos me explicó todo con paciencia.",
        ),
    },
    "safety": {
        "negative": (
            "Me abrieron el carro en {street} por tercera vez y solo me dieron un número.",
            "Hacen carreras en {street} toda la noche y vivimos con miedo.",
            "Otro choque en {cross}, ¿tiene que morir alguien?",
        ),
        "neutral": (
            "¿A quién le pregunto por un comité de vecinos en {street}?",
            "Al hidrante de {cross} le falta la tapa.",
            "Un carro sin placas está en {street} desde hace {n} días.",
        ),
        "positive": (
            "Los bomberos llegaron a {street} en {n} minutos y salvaron hasta al perro.",
            "La señora que cuida el cruce de la escuela es un tesoro.",
            "Con las luces nuevas de {cross} ya camino tranquila.",
        ),
    },
    "noise": {
        "negative": (
            "El bar de {street} no deja dormir a mi bebé, ya no puedo más.",
            "Las motos dan vueltas a {park} toda la noche y nadie hace nada.",
            "Llamé {n} veces por la fiesta de {street} y nunca vino nadie.",
        ),
        "neutral": (
            "¿Hasta qué hora se permite música en {street}?",
            "Hay ruido de obra en {cross} desde las {hour}.",
            "Suena una alarma en {street} {hundreds} desde la mañana.",
        ),
        "positive": (
            "Después de su visita el bar de {street} bajó la música y por fin dormimos.",
            "Movieron los camiones al día y {street} está tranquila, mil gracias.",
            "El oficial habló tan bien con los vecinos que ahora somos amigos.",
        ),
    },
    "water": {
        "negative": (
            "Sale agua café en {street} desde hace {n} días y nos dicen que la dejemos correr.",
            "Se nos inundó el sótano otra vez porque nadie limpia la coladera de {cross}.",
            "Cortaron el agua sin avisar y tengo un recién nacido.",
            "El recibo llegó de {hundreds} dólares, es un robo.",
        ),
        "neutral": (
            "Hay agua estancada en {cross}, como {n} pulgadas.",
            "¿Cada cuánto revisan el agua cerca de la escuela?",
            "La coladera frente a {street} {hundreds} está tapada con hojas.",
        ),
        "positive": (
            "Limpiaron la coladera de {cross} antes de la tormenta y la casa quedó seca.",
            "Arreglaron la fuga de {street} esa misma noche bajo la lluvia, unos héroes.",
            "El agua sabe mucho mejor que antes.",
        ),
    },
    "budget": {
        "negative": (
            "Me subieron el impuesto {hundreds} dólares y la calle sigue igual de mala.",
            "Hay {n} millones para un estadio y nada para las escuelas, qué vergüenza.",
            "La multa fue de {hundreds} dólares por una carta que nunca llegó.",
        ),
        "neutral": (
            "¿Dónde puedo leer el informe de gastos?",
            "¿Cuánto del impuesto va a los parques?",
            "¿El aumento de {n} por ciento es por un año o para siempre?",
        ),
        "positive": (
            "Por fin entiendo en qué se va cada dólar, la página quedó clara.",
            "Voté por un proyecto en {park} y ya está hecho, qué orgullo.",
            "La empleada vio que pagué de más y me devolvió {hundreds} dólares.",
        ),
    },
    "service": {
        "negative": (
            "Esperé {nn} minutos en el 311 y luego se cortó.",
            "Cerraron mi reporte de {street} sin hacer nada.",
            "La persona de la ventanilla se burló de mi acento.",
            "La aplicación se traba cada vez que subo una foto.",
        ),
        "neutral": (
            "¿Hay alguien que hable español en la línea por las tardes?",
            "Me dieron dos números para el mismo reporte.",
            "El reporte {hundreds} de {street} no muestra distrito.",
        ),
        "positive": (
            "Llamé al 311 y una persona muy amable lo resolvió en {n} minutos.",
            "La aplicación es facilísima, foto, enviar y listo.",
            "Me llamaron después solo para saber si quedé contenta, qué detalle.",
        ),
    },
    "health": {
        "negative": (
            "Hay ratas en {street} a plena luz del día, una se subió a la carriola.",
            "La clínica me dio cita para dentro de {n} meses y el dolor es hoy.",
            "Encontré jeringas en {park} otra vez, qué miedo por los niños.",
        ),
        "neutral": (
            "¿Cuándo ponen la vacuna de la gripe en la clínica de {street}?",
            "Hay un mapache muerto en {cross}.",
            "¿Dónde están los centros de enfriamiento?",
        ),
        "positive": (
            "La enfermera de {street} fue muy dulce con mi niño asustado.",
            "Fumigaron el callejón y no hemos visto ni una rata más, gracias.",
            "La vacuna fue gratis, rápida y con una sonrisa.",
        ),
    },
}

OPENERS: dict[str, tuple[str, ...]] = {
    "negative": (
        "Ya no sé con quién quejarme.",
        "Siempre lo mismo.",
        "Perdonen, pero estoy harta.",
        "Es la {n}ª vez que escribo.",
        "Qué bonito servicio, de veras.",
    ),
    "neutral": (
        "Una pregunta.",
        "Nada más para avisar.",
        "Buenas tardes.",
        "Vivo cerca de {cross}.",
    ),
    "positive": (
        "Hoy no vengo a quejarme.",
        "Lo bueno también se dice.",
        "Qué alegría.",
        "Con todo respeto y cariño.",
    ),
}
FEELINGS: dict[str, tuple[str, ...]] = {
    "negative": (
        "Estamos cansados.",
        "A nadie le importa este barrio.",
        "Qué coraje.",
        "Me da tristeza.",
        "Así no se puede vivir.",
        "Es una falta de respeto.",
        "Cada mes está peor.",
        "¿De qué sirve llamar?",
    ),
    "neutral": (
        "No es urgente.",
        "Tengo una foto si sirve.",
        "No lo encontré en la página.",
        "No sé a qué oficina le toca.",
    ),
    "positive": (
        "Da gusto vivir aquí.",
        "Así debe ser.",
        "Me hicieron el día.",
        "Sigan así.",
        "Toda la cuadra está contenta.",
        "Nos devuelve la esperanza.",
    ),
}
CLOSERS: dict[str, tuple[str, ...]] = {
    "negative": (
        "Hagan algo, por favor.",
        "¿Cuándo van a venir?",
        "Espero respuesta esta vez.",
        "También votamos.",
    ),
    "neutral": ("Gracias por revisar.", "Quedo al pendiente.", "Gracias de antemano."),
    "positive": ("Muchas gracias a todos.", "Dios los bendiga.", "Un aplauso.", "Mil gracias."),
}
GREETINGS = ("Buenos días,", "Hola,", "Estimados señores:", "")
SIGN_OFFS = ("Atentamente,", "Saludos,", "Gracias,")
AT_COUNCIL = (
    "Buenas noches a todos.",
    "Gracias por escucharme.",
    "Vivo en {street} desde hace {nn} años.",
)
SUBJECTS: dict[str, tuple[str, ...]] = {
    "negative": ("Queja", "Otra vez {street}", "Urgente"),
    "neutral": ("Pregunta", "Aviso", "{street}"),
    "positive": ("Gracias", "Felicitaciones", "Buen trabajo"),
}
DAYS = ("lunes", "martes", "miércoles", "jueves", "viernes", "sábado", "domingo")
MONTHS = (
    "enero",
    "febrero",
    "marzo",
    "abril",
    "mayo",
    "junio",
    "julio",
    "agosto",
    "septiembre",
    "octubre",
    "noviembre",
    "diciembre",
)
