"""Every sentence of the report and of the model card: key → (English, Spanish).

One table on purpose, though it is long: whoever changes a sentence sees both languages side by side, and the tests
check that both have the same gaps. Gaps are filled by `tahona.report.language.Language`, numbers already formatted.
Names of commands, keys, columns and classes are gaps, never words: they are the same in every language.
"""

# ruff: noqa: ISC004 - every entry is a pair of sentences, each over several lines; mypy sees a lost comma.
from __future__ import annotations

from collections.abc import Mapping

Word = tuple[str, str]

_FRAME: Mapping[str, Word] = {
    "title": ("{project}: report", "{project}: informe"),
    "eyebrow": ("Report of run {run}", "Informe de la ejecución {run}"),
    "subtitle": ("Predicts {target} from {columns}.", "Predice {target} a partir de {columns}."),
    "contents": ("Contents", "Índice"),
    "none": ("none", "ninguno"),
    "yes": ("yes", "sí"),
    "no": ("no", "no"),
    "interval": ("95 % interval", "intervalo del 95 %"),
    "interval.from_to": ("{low} to {high}", "de {low} a {high}"),
    "table.of": ("Table: {caption}", "Tabla: {caption}"),
    "rows.one": ("1 row", "1 fila"),
    "rows.many": ("{count} rows", "{count} filas"),
    "columns.one": ("1 column", "1 columna"),
    "columns.many": ("{count} columns", "{count} columnas"),
    "kinds.numeric.one": ("1 numeric column", "1 columna numérica"),
    "kinds.numeric.many": ("{count} numeric columns", "{count} columnas numéricas"),
    "kinds.category.one": ("1 category column", "1 columna categórica"),
    "kinds.category.many": ("{count} category columns", "{count} columnas categóricas"),
    "kinds.text.one": ("1 text column", "1 columna de texto"),
    "kinds.text.many": ("{count} text columns", "{count} columnas de texto"),
    "kinds.datetime.one": ("1 date column", "1 columna de fecha"),
    "kinds.datetime.many": ("{count} date columns", "{count} columnas de fecha"),
    "kinds.id.one": ("1 id column", "1 columna de identificador"),
    "kinds.id.many": ("{count} id columns", "{count} columnas de identificador"),
    "model": ("Model", "Modelo"),
    "value": ("Value", "Valor"),
    "metric": ("Metric", "Métrica"),
    "class": ("Class", "Clase"),
    "column": ("Column", "Columna"),
    "column.all": ("whole table", "toda la tabla"),
    "rows": ("Rows", "Filas"),
    "chosen": ("chosen", "elegido"),
    "matters": ("the class that matters", "la clase que importa"),
    "metric.of": ("{metric} of {label}", "{metric} de {label}"),
    "metric.lower": ("{metric} (less is better)", "{metric} (menos es mejor)"),
}

_FAMILIES: Mapping[str, Word] = {
    "family.dummy": ("Dummy (looks at no column)", "Modelo trivial (no mira ninguna columna)"),
    "family.ensemble": ("Mixture of models", "Mezcla de modelos"),
    "family.tree": ("Decision tree", "Árbol de decisión"),
    "family.svc": ("Support vector machine", "Máquina de vectores de soporte"),
    "family.linear_svc": ("Linear support vector machine", "Máquina lineal de vectores de soporte"),
    "family.knn": ("Nearest neighbours", "Vecinos más cercanos"),
    "family.logistic_regression": ("Logistic regression", "Regresión logística"),
    "family.random_forest": ("Random forest", "Bosque aleatorio"),
    "family.extra_trees": ("Extremely randomised trees", "Árboles extremadamente aleatorios"),
    "family.hist_gradient_boosting": ("Histogram gradient boosting", "Potenciación de gradiente por histogramas"),
    "family.lightgbm": ("LightGBM gradient boosting", "Potenciación de gradiente LightGBM"),
    "family.xgboost": ("XGBoost gradient boosting", "Potenciación de gradiente XGBoost"),
    "family.naive_bayes": ("Naive Bayes", "Bayes ingenuo"),
}

_SUMMARY: Mapping[str, Word] = {
    "lead": (
        "On {rows} that played no part in any choice, the chosen model ({model}) reaches {metric} {value} "
        "(95 % interval {interval}).",
        "En {rows} que no intervinieron en ninguna elección, el modelo elegido ({model}) alcanza {metric} {value} "
        "(intervalo del 95 %: {interval}).",
    ),
    "lead.clear": (
        "The dummy, which looks at no column, reaches {dummy}: the model is clearly better.",
        "El modelo trivial, que no mira ninguna columna, alcanza {dummy}: el modelo es claramente mejor.",
    ),
    "lead.unclear": (
        "The dummy, which looks at no column, reaches {dummy}: on these rows the model is not clearly better.",
        "El modelo trivial, que no mira ninguna columna, alcanza {dummy}: en estas filas el modelo no es "
        "claramente mejor.",
    ),
    "lead.single": (
        "The dummy has no value for this metric.",
        "El modelo trivial no tiene valor en esta métrica.",
    ),
    "plain.binary": (
        "In plain words: {label} is the true class of {actual}; the model found {found} of them and missed {missed}. "
        "It said {label} {called} times and was right {right} times.",
        "En palabras llanas: la clase verdadera de {actual} es {label}; el modelo encontró {found} y pasó por alto "
        "{missed}. Dijo {label} {called} veces y acertó {right} veces.",
    ),
    "plain.classes": (
        "In plain words: the model names the right class for {right} of {rows} ({share}). It recognises {best} best "
        "(finds {best_share} of its rows) and {worst} worst ({worst_share}).",
        "En palabras llanas: el modelo acierta la clase de {right} de {rows} ({share}). La que mejor reconoce es "
        "{best} (encuentra el {best_share} de sus filas) y la que peor, {worst} ({worst_share}).",
    ),
    "summary.bar": (
        "The model with its interval, and the dummy (hollow mark), from {low} to {high}.",
        "El modelo con su intervalo y el modelo trivial (marca hueca), de {low} a {high}.",
    ),
    "summary.dummy": ("dummy {value}", "modelo trivial {value}"),
    "status.champion": ("Version {version} is now the champion", "La versión {version} es ahora la campeona"),
    "status.challenger": (
        "Version {version} was registered, not promoted",
        "La versión {version} quedó registrada, sin promover",
    ),
    "status.unregistered": ("No version was registered", "No se registró ninguna versión"),
    "heed.title": ("Before you trust the number", "Antes de fiarse del número"),
}

_TASK: Mapping[str, Word] = {
    "task": ("What was learnt", "Qué se aprendió"),
    "task.text": (
        "The project {project} learns to tell the label {target} of a row from {columns} ({kinds}). The table has "
        "{rows}.",
        "El proyecto {project} aprende a distinguir la etiqueta {target} de una fila a partir de {columns} ({kinds}). "
        "La tabla tiene {rows}.",
    ),
    "task.matters": (
        "The class that matters is {label}: every number below that concerns one class concerns this one.",
        "La clase que importa es {label}: todo número de este informe que trata de una sola clase trata de esta.",
    ),
    "task.classes": (
        "There are {count} classes; where one number stands for all of them it is their plain mean, so that a small "
        "class counts as much as a large one, unless its name says otherwise.",
        "Hay {count} clases; cuando un número las representa a todas es su media simple, de modo que una clase "
        "pequeña cuenta tanto como una grande, salvo que su nombre diga otra cosa.",
    ),
    "task.table": ("The classes among the test rows", "Las clases en las filas de prueba"),
    "share": ("Share", "Proporción"),
    "split.rows": (
        "{train} for training, {test} for the test; choices are made by {folds} folds of the training rows.",
        "{train} para entrenar y {test} para la prueba; las elecciones se hacen con {folds} pliegues de las filas de "
        "entrenamiento.",
    ),
    "split.random": (
        "The test rows were drawn at random.",
        "Las filas de prueba se tomaron al azar.",
    ),
    "split.group": (
        "Rows with the same {by} stay on one side, so the test rows belong to groups that training never saw.",
        "Las filas con el mismo {by} quedan en un solo lado: las de prueba son de grupos que el entrenamiento nunca "
        "vio.",
    ),
    "split.time": (
        "The test rows are the latest by {by}, as the rows of production will be later than those of training.",
        "Las filas de prueba son las últimas según {by}, como las de producción serán posteriores a las de "
        "entrenamiento.",
    ),
}

_RESULT: Mapping[str, Word] = {
    "test": ("How good it is", "Qué tan bueno es"),
    "test.text": (
        "The test part was read once, after every choice had been made. The 95 % intervals tell how far a "
        "value would move with other test rows of the same kind (bootstrap).",
        "La parte de prueba se leyó una sola vez, tras tomar todas las decisiones. Los intervalos del "
        "95 % dicen cuánto se movería un valor con otras filas de prueba semejantes (bootstrap).",
    ),
    "test.table": ("The chosen model on the test rows", "El modelo elegido en las filas de prueba"),
    "test.dummy": ("Dummy", "Modelo trivial"),
    "confusion": ("True class (rows) against the answer (columns)", "Clase verdadera (filas) frente a la respuesta"),
    "confusion.true": ("True class", "Clase verdadera"),
    "confusion.said": ("said {label}", "dijo {label}"),
    "board": ("Leaderboard", "Clasificación de modelos"),
    "board.text": (
        "How each kind of model did on the training rows, out of fold: this is what the choice was made by. Values are "
        "means over the folds with their 95 % interval; time is what the search took.",
        "Cómo le fue a cada tipo de modelo en las filas de entrenamiento, fuera de pliegue: con esto se eligió. Los "
        "valores son medias de los pliegues con su intervalo del 95 %; el tiempo es el de la búsqueda.",
    ),
    "board.table": ("Models by {metric}, best first", "Modelos según {metric}, el mejor primero"),
    "board.params": ("The settings that the search chose:", "Los ajustes que eligió la búsqueda:"),
    "board.trials": ("Trials", "Ensayos"),
    "board.cpu": ("Processor time", "Tiempo de procesador"),
    "board.wall": ("Clock time", "Tiempo de reloj"),
    "board.calibration": ("Calibration", "Calibración"),
    "board.total": (
        "The whole search took {cpu} of processor time for {trials} trials.",
        "Toda la búsqueda llevó {cpu} de tiempo de procesador para {trials} ensayos.",
    ),
    "board.axis": ("Bars run from {low} to {high}.", "Las barras van de {low} a {high}."),
    "board.weights": ("The mixture weighs: {weights}.", "La mezcla pondera así: {weights}."),
    "calibration.none": (
        "none",
        "ninguna",
    ),
    "calibration.sigmoid": ("sigmoid", "sigmoide"),
    "calibration.isotonic": ("isotonic", "isotónica"),
    "candidates": ("Every model on the test rows", "Cada modelo en las filas de prueba"),
    "candidates.text": (
        "For the record only: the choice had been made before. Picking the best line of this table would be tuning on "
        "the test rows.",
        "Solo para que conste: la elección ya estaba hecha. Quedarse con la mejor línea de esta tabla sería ajustar "
        "con las filas de prueba.",
    ),
    "candidates.table": ("All models, test rows", "Todos los modelos, filas de prueba"),
    "candidates.errors": ("Right and wrong answers for {label}", "Aciertos y errores para {label}"),
    "errors.found": ("found", "encontradas"),
    "errors.missed": ("missed", "pasadas por alto"),
    "errors.false": ("false alarms", "falsas alarmas"),
    "errors.left": ("rightly left alone", "bien descartadas"),
    "classes": ("Class by class", "Clase por clase"),
    "classes.text": (
        "Precision: of the rows given this class, the share that has it. Recall: of the rows that have it, the share "
        "that was found.",
        "Precisión: de las filas a las que se dio esta clase, la parte que la tiene. Exhaustividad: de las filas que "
        "la tienen, la parte encontrada.",
    ),
    "precision": ("Precision", "Precisión"),
    "recall": ("Recall", "Exhaustividad"),
    "f1": ("F1", "F1"),
    "slices": ("Group by group", "Grupo por grupo"),
    "slices.text": (
        "The chosen model on parts of the test rows. A group whose interval lies apart from the others deserves a "
        "look; small groups have wide intervals.",
        "El modelo elegido en partes de las filas de prueba. Un grupo cuyo intervalo se aparta de los demás merece "
        "atención; los grupos pequeños tienen intervalos anchos.",
    ),
    "slices.table": ("{metric} by the value of a column", "{metric} según el valor de una columna"),
    "level": ("Value of the column", "Valor de la columna"),
    "importance": ("What it looks at", "En qué se fija"),
    "importance.text": (
        "How much {metric} gets worse on the test rows when a column is shuffled. Columns that tell the same story "
        "share the credit; this is not a cause.",
        "Cuánto empeora {metric} en las filas de prueba al desordenar una columna. Las columnas que cuentan lo mismo "
        "se reparten el mérito; esto no es una causa.",
    ),
    "importance.table": ("Columns, most important first", "Columnas, la más importante primero"),
    "importance.loss": ("Loss when shuffled", "Pérdida al desordenar"),
    "importance.rest": (
        "The other {columns} matter less than these.",
        "Las demás ({columns}) importan menos que estas.",
    ),
    "curves": ("Curves", "Curvas"),
    "curves.text": ("All from the test rows.", "Todas con las filas de prueba."),
    "figure.roc_curve": (
        "ROC curve: rows found against false alarms as the threshold moves; area {value}.",
        "Curva ROC: filas encontradas frente a falsas alarmas al mover el umbral; área {value}.",
    ),
    "figure.pr_curve": (
        "Precision against recall as the threshold moves; area {value}.",
        "Precisión frente a exhaustividad al mover el umbral; área {value}.",
    ),
    "figure.calibration": (
        "Calibration: the probability that was given against the share that came true; the diagonal is perfect.",
        "Calibración: la probabilidad que se dio frente a la proporción que se cumplió; la diagonal es lo perfecto.",
    ),
    "figure.threshold_cost": (
        "What mistakes cost as the threshold moves.",
        "Lo que cuestan los errores al mover el umbral.",
    ),
    "figure.threshold_f1": (
        "F1 as the threshold moves.",
        "F1 al mover el umbral.",
    ),
}

_DECISION: Mapping[str, Word] = {
    "decision": ("From probability to decision", "De la probabilidad a la decisión"),
    "decision.threshold": (
        "The answer is {label} when its probability is at least {threshold}.",
        "La respuesta es {label} cuando su probabilidad es al menos {threshold}.",
    ),
    "decision.cost": (
        "A false alarm costs {false_positive} and missing a row of {label} costs {false_negative} (the "
        "project's own figures). The threshold is the one with the least cost on the training rows, out of "
        "fold.",
        "Una falsa alarma cuesta {false_positive} y pasar por alto una fila de {label} cuesta "
        "{false_negative} (cifras del propio proyecto). El umbral es el de menor coste en las filas de "
        "entrenamiento, fuera de pliegue.",
    ),
    "decision.cost.test": (
        "On the test rows the model's mistakes cost {model} a row; the dummy's cost {dummy}.",
        "En las filas de prueba los errores del modelo cuestan {model} por fila; los del modelo trivial, {dummy}.",
    ),
    "decision.maximize": (
        "The threshold is the one with the best {metric} on the training rows, out of fold.",
        "El umbral es el de mejor {metric} en las filas de entrenamiento, fuera de pliegue.",
    ),
    "decision.fixed": ("The project fixes this threshold.", "El proyecto fija este umbral."),
    "decision.default": (
        "The project states no cost, so the likelier class is the answer. If missing a row of {label} costs "
        "more than a false alarm, say so under {key} and train again.",
        "El proyecto no indica ningún coste: la respuesta es la clase más probable. Si pasar por alto una "
        "fila de {label} cuesta más que una falsa alarma, indíquelo en {key} y vuelva a entrenar.",
    ),
    "decision.estimator": (
        "The decision is the estimator's own rule, asked for by {key}: for comparison with other programs.",
        "La decisión es la regla propia del estimador, pedida con {key}: para comparar con otros programas.",
    ),
    "decision.likeliest": (
        "The answer is the class with the highest probability.",
        "La respuesta es la clase de mayor probabilidad.",
    ),
}

_AUDIT: Mapping[str, Word] = {
    "audit": ("What the audit found", "Qué encontró la auditoría"),
    "audit.text": (
        "Before any training the audit looked for leaked labels, rows and groups on both sides of the split, broken "
        "time order, columns that only name a row, and classes too small to learn.",
        "Antes de entrenar, la auditoría buscó etiquetas filtradas, filas y grupos a ambos lados de la división, orden "
        "temporal roto, columnas que solo nombran la fila y clases demasiado pequeñas para aprender.",
    ),
    "audit.clean": ("Nothing was found.", "No encontró nada."),
    "audit.table": ("Findings, the gravest first", "Hallazgos, los más graves primero"),
    "audit.severity": ("Gravity", "Gravedad"),
    "audit.message": ("What", "Qué"),
    "audit.accepted": ("Accepted because", "Se acepta porque"),
    "severity.error": ("would stop the run", "detendría la ejecución"),
    "severity.accepted": ("error, accepted", "error aceptado"),
    "severity.warning": ("warning", "aviso"),
    "severity.info": ("note", "nota"),
    "audit.dropped": (
        "Never used as features, as the project asks: {columns}.",
        "Nunca se usan como variables, como pide el proyecto: {columns}.",
    ),
    "honesty": ("What honesty changed", "Qué cambió la honestidad"),
    "honesty.text": (
        "Many reported numbers are better than what production sees. These rules keep this one true:",
        "Muchos números publicados son mejores que lo que ve la producción. Estas reglas mantienen cierto este:",
    ),
    "honesty.class": (
        "The search compared models by {metric}: that of the class that matters, not of the other one.",
        "La búsqueda comparó los modelos por {metric}: la de la clase que importa, no la de la otra.",
    ),
    "honesty.metric": (
        "The search compared models by {metric}, the same measure that this report gives first.",
        "La búsqueda comparó los modelos por {metric}, la misma medida que este informe da primero.",
    ),
    "honesty.folds": (
        "Scaling, filling of gaps, category codes and vocabularies were learnt inside each fold from its fitting rows "
        "alone, so no validation row helped to prepare itself.",
        "El escalado, el relleno de huecos, los códigos de categorías y los vocabularios se aprendieron dentro de cada "
        "pliegue solo con sus filas de ajuste: ninguna fila de validación ayudó a prepararse a sí misma.",
    ),
    "honesty.tuning": (
        "Tuning saw the {train} of training and nothing else; the {test} of the test part were read once, at the end.",
        "El ajuste vio las {train} de entrenamiento y nada más; las {test} de prueba se leyeron una vez, al final.",
    ),
    "honesty.choices": (
        "Calibration, mixture and threshold, where they were chosen, were chosen on out-of-fold predictions "
        "of training rows.",
        "La calibración, la mezcla y el umbral, donde se eligieron, se eligieron con predicciones fuera de "
        "pliegue de filas de entrenamiento.",
    ),
    "honesty.dummy": (
        "A dummy that looks at no column stands on the leaderboard, and every number has an interval.",
        "Un modelo trivial que no mira ninguna columna figura en la clasificación, y todo número lleva su intervalo.",
    ),
    "honesty.dropped": (
        "Columns that would not be known in time, or that the project does not want, were left out: {columns}.",
        "Se dejaron fuera columnas que no se conocerían a tiempo o que el proyecto no quiere: {columns}.",
    ),
    "honesty.duplicates": (
        "Rows with equal features were kept on one side of every cut.",
        "Las filas con variables iguales quedaron en un solo lado de cada corte.",
    ),
    "honesty.accepted.one": (
        "1 finding that would have stopped the run was accepted with a written reason.",
        "1 hallazgo que habría detenido la ejecución se aceptó con una razón escrita.",
    ),
    "honesty.accepted.many": (
        "{count} findings that would have stopped the run were accepted, each with a written reason.",
        "{count} hallazgos que habrían detenido la ejecución se aceptaron, cada uno con una razón escrita.",
    ),
    "honesty.warnings.one": (
        "1 warning is still open (see the audit): honest does not yet mean safe.",
        "1 aviso sigue abierto (véase la auditoría): honesto no significa todavía seguro.",
    ),
    "honesty.warnings.many": (
        "{count} warnings are still open (see the audit): honest does not yet mean safe.",
        "{count} avisos siguen abiertos (véase la auditoría): honesto no significa todavía seguro.",
    ),
}

_USE: Mapping[str, Word] = {
    "version": ("Version and gate", "Versión y control de calidad"),
    "version.name": ("Registered as", "Registrada como"),
    "version.label": ("version {version}", "versión {version}"),
    "version.status": ("Status", "Estado"),
    "version.previous": ("Champion before", "Campeona anterior"),
    "version.bundle": ("Digest of the bundle", "Huella del paquete"),
    "gate.passed": (
        "The gate let it through.",
        "El control de calidad la dejó pasar.",
    ),
    "gate.refused": (
        "The gate did not let it through; the champion stays what it was.",
        "El control de calidad no la dejó pasar; la campeona sigue siendo la que era.",
    ),
    "gate.refused.first": (
        "The gate did not let it through; there is still no champion.",
        "El control de calidad no la dejó pasar; sigue sin haber campeona.",
    ),
    "gate.first": ("There was no champion to compare with.", "No había campeona con la que comparar."),
    "usage": ("How to use it", "Cómo usarlo"),
    "usage.file": (
        "Predict a file of any length. The answer has the row's id, the label, the probability and the version:",
        "Predecir un archivo de cualquier longitud. La respuesta lleva el identificador de la fila, la etiqueta, la "
        "probabilidad y la versión:",
    ),
    "usage.python": ("From Python or a notebook:", "Desde Python o un cuaderno:"),
    "usage.columns": ("It needs these columns:", "Necesita estas columnas:"),
    "usage.more": ("and {count} more", "y {count} más"),
    "origin": ("Where this comes from", "De dónde sale esto"),
    "origin.run": ("Run", "Ejecución"),
    "origin.created": ("Written", "Fecha"),
    "origin.source": ("Data source", "Origen de los datos"),
    "origin.digest": ("Digest of the data", "Huella de los datos"),
    "origin.seed": ("Seed", "Semilla"),
    "origin.versions": ("Libraries", "Bibliotecas"),
    "origin.text": (
        "The same data, project file, seed and libraries give the same predictions.",
        "Los mismos datos, archivo de proyecto, semilla y bibliotecas dan las mismas predicciones.",
    ),
}

_CARD: Mapping[str, Word] = {
    "card": ("Model card: {model}", "Ficha del modelo: {model}"),
    "card.intro": (
        "The sections are those of Mitchell et al., “Model Cards for Model Reporting” (2019). They hold what the run "
        "knows; what only people know is named as missing.",
        "Las secciones son las de Mitchell et al., «Model Cards for Model Reporting» (2019). Contienen lo que sabe la "
        "ejecución; lo que solo saben las personas se señala como ausente.",
    ),
    "card.details": ("Model details", "Detalles del modelo"),
    "card.family": ("Kind of model", "Tipo de modelo"),
    "card.params": ("Settings", "Ajustes"),
    "card.calibration": ("Calibration of the probabilities", "Calibración de las probabilidades"),
    "card.use": ("Intended use", "Uso previsto"),
    "card.use.text": (
        "To predict {target} of rows that come from the same source as {source} and have the same columns.",
        "Predecir {target} de filas que proceden del mismo origen que {source} y tienen las mismas columnas.",
    ),
    "card.use.missing": (
        "Who may use it, for which decisions, and what it must not be used for is not in the project file: the owner "
        "of the project has to state it.",
        "Quién puede usarlo, para qué decisiones y para qué no debe usarse no consta en el archivo de proyecto: debe "
        "declararlo quien sea responsable del proyecto.",
    ),
    "card.factors": ("Factors", "Factores"),
    "card.factors.text": (
        "The results are also shown by: {columns}.",
        "Los resultados se muestran también según: {columns}.",
    ),
    "card.factors.none": (
        "The results are shown by class only; no column was named or found to show them by.",
        "Los resultados se muestran solo por clase; no se indicó ni se encontró ninguna columna por la que mostrarlos.",
    ),
    "card.metrics": ("Metrics", "Métricas"),
    "card.metrics.text": (
        "Models were compared by {metric}. All numbers carry 95 % intervals.",
        "Los modelos se compararon por {metric}. Todos los números llevan intervalos del 95 %.",
    ),
    "card.evaluation": ("Evaluation data", "Datos de evaluación"),
    "card.evaluation.text": (
        "{test} of the same table, read once after every choice.",
        "{test} de la misma tabla, leídas una sola vez tras tomar todas las decisiones.",
    ),
    "card.training": ("Training data", "Datos de entrenamiento"),
    "card.training.text": (
        "{train} of a table with {rows}, from {source}; digest {digest}.",
        "{train} de una tabla con {rows}, de {source}; huella {digest}.",
    ),
    "card.results": ("Quantitative analyses", "Análisis cuantitativos"),
    "card.ethics": ("Ethical considerations", "Consideraciones éticas"),
    "card.ethics.missing": (
        "Whether the rows describe people, whether they agreed, and which columns must not decide about them cannot be "
        "seen from the data: the owner of the project has to state it.",
        "Si las filas describen a personas, si dieron su consentimiento y qué columnas no deben decidir sobre ellas no "
        "puede verse en los datos: debe declararlo quien sea responsable del proyecto.",
    ),
    "card.ethics.text": (
        "The bundle holds the vocabulary of these text columns, so words of the training rows can be read from it: "
        "{columns}.",
        "El paquete contiene el vocabulario de estas columnas de texto, así que de él pueden leerse palabras de las "
        "filas de entrenamiento: {columns}.",
    ),
    "card.ethics.levels": (
        "The bundle holds the frequent values of these category columns: {columns}.",
        "El paquete contiene los valores frecuentes de estas columnas categóricas: {columns}.",
    ),
    "card.caveats": ("Caveats and recommendations", "Advertencias y recomendaciones"),
    "card.caveats.random": (
        "The test rows were drawn at random: if production rows come later in time or from other groups, expect less.",
        "Las filas de prueba se tomaron al azar: si las de producción son posteriores o de otros grupos, espere menos.",
    ),
    "card.caveats.accepted": (
        "Accepted ({column}): {message} Reason: {reason}",
        "Aceptado ({column}): {message} Razón: {reason}",
    ),
    "card.caveats.dummy": (
        "On these test rows the model is not clearly better than a dummy that looks at no column.",
        "En estas filas de prueba el modelo no es claramente mejor que un modelo trivial que no mira ninguna columna.",
    ),
    "card.caveats.none": ("The run found none.", "La ejecución no encontró ninguna."),
}

WORDS: Mapping[str, Word] = {
    **_FRAME,
    **_FAMILIES,
    **_SUMMARY,
    **_TASK,
    **_RESULT,
    **_DECISION,
    **_AUDIT,
    **_USE,
    **_CARD,
}
