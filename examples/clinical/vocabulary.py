"""What is written down in the invented visits: complaints and findings of six groups, and common ones."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Group:
    """A diagnostic group: its share of the visits, who comes, which specialist sees them, and what is written."""

    name: str
    share: int
    age: tuple[float, float]
    """Mean and deviation in years."""
    women: float
    specialty: str
    complaints: tuple[str, ...]
    findings: tuple[str, ...]


GROUPS = (
    Group(
        "Cardiovascular",
        3223,
        (64, 13),
        0.45,
        "Cardiología",
        (
            "dolor opresivo en el pecho que irradia al brazo izquierdo",
            "palpitaciones al subir escaleras",
            "corazón acelerado en reposo",
            "hinchazón de tobillos por las tardes",
            "falta de aire al acostarse, duerme con dos almohadas",
            "tensión alta en casa a pesar del tratamiento",
            "síncope al levantarse",
        ),
        (
            "ruidos cardíacos arrítmicos con soplo sistólico",
            "TA 165/95, edema con fóvea en ambos miembros",
            "electrocardiograma con fibrilación auricular",
            "ingurgitación yugular, crepitantes en las bases",
            "pulsos pedios débiles, llenado capilar lento",
            "ecocardiograma con fracción de eyección disminuida",
        ),
    ),
    Group(
        "Salud mental",
        2211,
        (41, 15),
        0.64,
        "Psiquiatría",
        (
            "depresión desde la muerte de un familiar",
            "ansiedad constante con crisis de angustia",
            "insomnio de conciliación, despierta de madrugada",
            "llanto fácil y pérdida de interés por todo",
            "ideas de muerte sin plan, sensación de vacío",
            "rechazo a salir de casa, evita a sus compañeros",
            "irritabilidad y dificultad para concentrarse",
        ),
        (
            "ánimo triste, discurso lento, afecto aplanado",
            "orientado en las tres esferas, sin ideación delirante",
            "escala de depresión con puntuación moderada",
            "inquietud psicomotriz, contacto visual pobre",
            "juicio conservado, insight parcial",
            "se continúa sertralina y psicoterapia",
        ),
    ),
    Group(
        "Respiratorio",
        1818,
        (24, 22),
        0.5,
        "Neumología",
        (
            "tos con flema verdosa",
            "pecho apretado y silbidos por la noche",
            "dificultad para respirar después de correr",
            "mocos, estornudos y dolor de garganta",
            "uso del inhalador más de lo habitual",
            "fiebre con escalofríos y tos seca",
            "dolor de costado al respirar hondo",
        ),
        (
            "sibilancias espiratorias en ambos campos pulmonares",
            "murmullo vesicular disminuido, crepitantes en la base derecha",
            "saturación de oxígeno 91 %, tiraje intercostal",
            "amígdalas hipertróficas, faringe congestiva",
            "radiografía con infiltrado en lóbulo medio",
            "espirometría con patrón obstructivo reversible",
        ),
    ),
    Group(
        "Digestivo",
        1260,
        (47, 18),
        0.52,
        "Gastroenterología",
        (
            "ardor en la boca del estómago después de comer",
            "náuseas y vómitos de contenido alimentario",
            "diarrea líquida sin sangre",
            "estreñimiento con distensión abdominal",
            "dolor en hipocondrio derecho tras comidas grasas",
            "acidez que mejora con omeprazol",
            "sangre en las heces",
        ),
        (
            "abdomen blando, doloroso en epigastrio",
            "signo de Murphy dudoso, ruidos hidroaéreos aumentados",
            "hígado palpable a dos centímetros del reborde costal",
            "endoscopia con gastritis erosiva",
            "mucosas secas, abdomen timpánico",
            "ecografía con litiasis vesicular",
        ),
    ),
    Group(
        "Neurológico",
        991,
        (52, 20),
        0.56,
        "Neurología",
        (
            "dolor de cabeza pulsátil con fotofobia",
            "adormecimiento de la mitad izquierda de la cara",
            "mareo con giro de objetos al mover la cabeza",
            "temblor en la mano derecha en reposo",
            "olvidos, repite preguntas",
            "convulsión presenciada por su hermana",
            "visión doble y torpeza al caminar",
        ),
        (
            "reflejos osteotendinosos vivos, Babinski derecho",
            "marcha inestable, Romberg positivo",
            "pares craneales conservados, rigidez en rueda dentada",
            "nistagmo horizontal, sin dismetría",
            "resonancia con lesiones en sustancia blanca",
            "fuerza 4/5 en el hemicuerpo izquierdo",
        ),
    ),
    Group(
        "Endocrino",
        497,
        (50, 16),
        0.68,
        "Endocrinología",
        (
            "mucha sed, orina varias veces por la noche",
            "pérdida de ocho kilos sin hacer dieta",
            "aumento de peso, frío y caída del cabello",
            "azúcar elevada en los controles de casa",
            "hormigueo en las plantas de los pies",
            "bulto en el cuello al tragar",
        ),
        (
            "glucemia capilar 312, hemoglobina glucosilada 10 %",
            "tiroides aumentada de tamaño con nódulo móvil",
            "piel seca, reflejo aquíleo enlentecido",
            "índice de masa corporal 36, acantosis en el cuello",
            "TSH elevada, se ajusta levotiroxina",
        ),
    ),
)

COMMON_COMPLAINTS = (
    "cansancio que no mejora con el descanso",
    "control y recetas",
    "dolor de espalda después del trabajo",
    "poco apetito",
    "debilidad y falta de energía",
    "dolor de cabeza leve",
    "mareo ocasional",
    "mal dormir",
    "sensación de falta de aire",
    "fiebre en casa",
    "sudoración y nerviosismo",
    "dudas sobre su medicación",
)

COMMON_FINDINGS = (
    "buen estado general, afebril",
    "signos vitales dentro de lo normal",
    "sin hallazgos patológicos en la exploración",
    "abdomen sin dolor a la palpación",
    "campos pulmonares bien ventilados",
    "ruidos cardíacos rítmicos sin soplos",
    "se solicita analítica completa",
    "se explica tratamiento y signos de alarma",
    "piel y mucosas hidratadas",
    "exploración neurológica sin focalidad",
)

GENERAL = ("Medicina general", "Urgencias", "Medicina interna", "Geriatría")
CHILDREN = "Pediatría"

WHEN = ("desde hace tres días", "desde hace una semana", "desde ayer", "desde hace dos meses", "desde hace años")
HOW = ("leve", "intenso", "cada vez peor", "que va y viene", "sin mejoría con paracetamol")
PLACES = ("Colón", "San Martín", "Río Blanco", "Peñalolén", "Santa Inés", "El Rincón", "Ñuñoa", "La Unión")
TRADES = ("comerciante", "estudiante", "docente", "chofer", "trabaja en el campo", "cocina en una escuela", "en paro")
HABITS = ("fuma a diario", "no bebe alcohol", "camina media hora", "cuida a sus nietos", "sin familia cerca")
