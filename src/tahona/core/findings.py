"""What Tahona noticed about the data: one row per kind of finding, in both languages of the report.

A finding is a fact with a name. The name gives its severity and its sentence; ``facts`` fill the sentence's gaps and
never hold a cell of the user's table (a category level counts as a cell only in text and id columns).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

Severity = Literal["info", "warning", "error"]
Fact = str | int | float


@dataclass(frozen=True, slots=True)
class FindingKind:
    """How grave a finding is, and its sentence in both languages (``str.format`` with ``column`` and the facts)."""

    severity: Severity
    en: str
    es: str


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing noticed. ``column`` is empty when it concerns the whole table."""

    kind: str
    column: str = ""
    facts: Mapping[str, Fact] = field(default_factory=dict)
    accepted: str = ""
    """The reason given in ``[audit] allow``; an accepted error no longer stops the run."""

    @property
    def severity(self) -> Severity:
        return FINDINGS[self.kind].severity

    @property
    def stops(self) -> bool:
        """Whether the run must not go on."""
        return self.severity == "error" and not self.accepted

    def message(self, language: str = "en") -> str:
        kind = FINDINGS[self.kind]
        return (kind.es if language == "es" else kind.en).format(column=self.column, **self.facts)

    def accept(self, reason: str) -> Finding:
        return replace(self, accepted=reason)

    def to_dict(self) -> dict[str, Any]:
        return {
            "kind": self.kind,
            "column": self.column,
            "severity": self.severity,
            "message": self.message(),
            "facts": dict(self.facts),
            "accepted": self.accepted,
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Finding:
        return cls(data["kind"], data["column"], dict(data["facts"]), data["accepted"])


# One row per kind. Add a row here, raise it in the one place that sees it, and the report knows it in both languages.
FINDINGS: dict[str, FindingKind] = {
    # what the project file says in vain, or should not say
    "literal_secret": FindingKind(
        "warning",
        "{where}: {key} holds a password or token in plain sight; write ${{NAME}} and set it in the environment.",
        "{where}: {key} contiene una contraseña o un token a la vista; escriba ${{NOMBRE}} y defínalo en el entorno.",
    ),
    "idle_search": FindingKind(
        "warning",
        "{where}: {key} has no effect, because train.models does not list this family.",
        "{where}: {key} no tiene efecto, porque train.models no incluye esta familia.",
    ),
    "idle_type": FindingKind(
        "warning",
        "{where}: {key} has no effect, because the column is dropped.",
        "{where}: {key} no tiene efecto, porque la columna se quita.",
    ),
    # what the source decided for the user
    "read_as": FindingKind("info", "Read as {format}: {details}.", "Leído como {format}: {details}."),
    "literal_nulls": FindingKind(
        "warning",
        "'{column}' would be numeric but for {count:,} cells ({words}), and is kept as text. If they mean 'no value', "
        "name them in [data] nulls.",
        "'{column}' sería numérica salvo por {count:,} celdas ({words}), y se conserva como texto. Si significan «sin "
        "valor», nómbrelas en [data] nulls.",
    ),
    "null_words": FindingKind(
        "info",
        "{count:,} cells of '{column}' ({words}) are kept as text; if they mean 'no value', name them in [data] nulls.",
        "{count:,} celdas de '{column}' ({words}) se conservan como texto; si significan «sin valor», nómbrelas en "
        "[data] nulls.",
    ),
    "unclear_decimal": FindingKind(
        "warning",
        "'{column}' looks like numbers whose decimal or thousands mark is unclear; kept as text. Declare decimal in "
        "[data], or convert it in a cleaning function.",
        "'{column}' parece contener números cuya marca decimal o de miles no es clara; se conserva como texto. Declare "
        "decimal en [data], o conviértala en una función de limpieza.",
    ),
    "wide_integers": FindingKind(
        "warning",
        "'{column}' holds whole numbers of more than 15 digits, which a model cannot tell apart exactly; declare it "
        '"id" or "category" in [data.types] if it holds names.',
        "'{column}' contiene enteros de más de 15 cifras, que un modelo no distingue con exactitud; declárela \"id\" o "
        '"category" en [data.types] si contiene nombres.',
    ),
    "blank_lines": FindingKind(
        "info", "{count:,} blank rows were passed over.", "Se pasaron por alto {count:,} filas en blanco."
    ),
    "missing_keys": FindingKind(
        "info",
        "{count:,} rows lack the key '{column}'; read as null.",
        "A {count:,} filas les falta la clave '{column}'; se lee como nulo.",
    ),
    "numeric_header": FindingKind(
        "warning",
        "All {columns:,} column names are numbers: the file may lack a header, and its first row of data may be lost.",
        "Los {columns:,} nombres de columna son números: puede que el archivo no tenga cabecera y que se pierda su "
        "primera fila de datos.",
    ),
    "to_utc": FindingKind(
        "info",
        "The times of '{column}' carry a time zone; they are read as UTC.",
        "Las horas de '{column}' llevan zona horaria; se leen como UTC.",
    ),
    # what cleaning changed
    "renamed_column": FindingKind(
        "info",
        "The column name at position {position} was normalised to '{column}' ({change}).",
        "El nombre de la columna {position} se normalizó a '{column}' ({change}).",
    ),
    "all_null": FindingKind(
        "warning",
        "'{column}' has no value in any row; dropped.",
        "'{column}' no tiene valor en ninguna fila; se quita.",
    ),
    "constant": FindingKind(
        "warning", "'{column}' has one value only; dropped.", "'{column}' tiene un solo valor; se quita."
    ),
    # how the rows were cut
    "groups_apart": FindingKind(
        "info",
        "The rows of one '{column}' stay together: {train} groups train, {test} test ({share} % of the rows).",
        "Las filas de un mismo '{column}' quedan juntas: {train} grupos entrenan, {test} prueban "
        "({share} % de las filas).",
    ),
    "group_no_feature": FindingKind(
        "info",
        "'{column}' only names the groups of the split; not used as a feature. Declare its type in [data.types] if it "
        "is one.",
        "'{column}' solo nombra los grupos de la división; no se usa como variable. Declare su tipo en [data.types] "
        "si lo es.",
    ),
    "group_nulls": FindingKind(
        "info",
        "{rows} rows without a '{column}' count as a group each.",
        "{rows} filas sin '{column}' cuentan cada una como un grupo.",
    ),
    "duplicates_together": FindingKind(
        "info",
        "Rows with equal features stay on one side of every cut ({rows} rows repeat an earlier one).",
        "Las filas con características iguales quedan siempre del mismo lado ({rows} filas repiten otra anterior).",
    ),
    "repeats_left_out": FindingKind(
        "info",
        "{rows} training rows whose features return in the test part were left out.",
        "Se dejaron fuera {rows} filas de entrenamiento cuyas características vuelven en la parte de prueba.",
    ),
    "time_cut": FindingKind(
        "info",
        "The latest {test} rows by '{column}' test ({share} %), the {train} earlier ones train.",
        "Las {test} filas más tardías por '{column}' prueban ({share} %), las {train} anteriores entrenan.",
    ),
    "time_ties": FindingKind(
        "info",
        "The cut moved by {rows} rows so that equal values of '{column}' stay together.",
        "El corte se movió {rows} filas para que los valores iguales de '{column}' queden juntos.",
    ),
    "one_validation_part": FindingKind(
        "info",
        "Choices are made on one validation part: {fit} training rows are fitted, {judged} judged in {blocks} blocks. "
        "Set split.folds to have folds instead; each fold costs one more fit per trial.",
        "Las elecciones se hacen en una sola parte de validación: {fit} filas de entrenamiento se ajustan y {judged} "
        "se juzgan en {blocks} bloques. Con split.folds se usan pliegues; cada uno cuesta un ajuste más por prueba.",
    ),
    "folds_left_out": FindingKind(
        "warning",
        "{left_out} folds were left out because a class was missing in them; {folds} remain.",
        "Se dejaron fuera {left_out} particiones porque les faltaba una clase; quedan {folds}.",
    ),
    # what the audit saw
    "leak": FindingKind(
        "error",
        "'{column}' alone tells the classes apart (AUC {auc}): it gives the label away.",
        "'{column}' por sí sola separa las clases (AUC {auc}): delata la etiqueta.",
    ),
    "leak_distance": FindingKind(
        "error",
        "The time between '{other}' and '{column}' tells the classes apart (AUC {auc}): one of them was written "
        "after the outcome.",
        "El tiempo entre '{other}' y '{column}' separa las clases (AUC {auc}): una de las dos se escribió después del "
        "resultado.",
    ),
    "leak_one_class": FindingKind(
        "warning",
        "'{column}' alone tells class '{label}' from all others (AUC {auc}); check that it is known beforehand.",
        "'{column}' por sí sola distingue la clase '{label}' de las demás (AUC {auc}); compruebe que se conoce antes.",
    ),
    "near_deterministic_level": FindingKind(
        "warning",
        "'{column}' = '{level}' is almost always '{label}' ({share} % of {rows} training rows); check that it is known "
        "beforehand.",
        "'{column}' = '{level}' es casi siempre '{label}' ({share} % de {rows} filas de entrenamiento); compruebe que "
        "se conoce antes.",
    ),
    "duplicates_across": FindingKind(
        "warning",
        "{rows} test rows ({share} %) repeat a training row exactly, so the test flatters; the honest alternative is "
        'split.duplicates = "together".',
        "{rows} filas de prueba ({share} %) repiten exactamente una de entrenamiento, y la prueba favorece al modelo; "
        'la alternativa honesta es split.duplicates = "together".',
    ),
    "texts_across": FindingKind(
        "warning",
        "{rows} test rows ({share} %) have a '{column}' that a training row has too; the honest alternative is "
        'split.kind = "group" with by = "{column}".',
        "{rows} filas de prueba ({share} %) tienen un '{column}' que también está en el entrenamiento; la alternativa "
        'honesta es split.kind = "group" con by = "{column}".',
    ),
    "conflicting_labels": FindingKind(
        "warning",
        "{rows} training rows ({share} %) have the features of another row but a different label; no model can get all "
        "of them right.",
        "{rows} filas de entrenamiento ({share} %) tienen las características de otra fila pero distinta etiqueta; "
        "ningún modelo puede acertarlas todas.",
    ),
    "groups_across": FindingKind(
        "warning",
        "'{column}' looks like the key of {groups} groups, and {rows} test rows ({share} %) belong to a group seen in "
        'training; the honest alternative is split.kind = "group" with by = "{column}".',
        "'{column}' parece la clave de {groups} grupos, y {rows} filas de prueba ({share} %) son de un grupo visto en "
        'el entrenamiento; la alternativa honesta es split.kind = "group" con by = "{column}".',
    ),
    "time_unused": FindingKind(
        "warning",
        "The rows are drawn at random although '{column}' tells their time; if the model is to judge later rows, the "
        'honest alternative is split.kind = "time".',
        "Las filas se sortean aunque '{column}' indica su tiempo; si el modelo va a juzgar filas posteriores, la "
        'alternativa honesta es split.kind = "time".',
    ),
    "time_unused_groups": FindingKind(
        "info",
        "The split keeps groups together but does not follow the time in '{column}'.",
        "La partición mantiene juntos los grupos, pero no sigue el tiempo de '{column}'.",
    ),
    "time_reversed": FindingKind(
        "error",
        "{rows} test rows are not later than the training rows by '{column}': the time order is broken.",
        "{rows} filas de prueba no son posteriores a las de entrenamiento por '{column}': el orden temporal está roto.",
    ),
    "tiny_class": FindingKind(
        "warning",
        "Class '{label}' has {rows} training rows, fewer than {least}: its numbers will be uncertain.",
        "La clase '{label}' tiene {rows} filas de entrenamiento, menos de {least}: sus números serán inciertos.",
    ),
    "imbalance": FindingKind(
        "warning",
        "Class '{label}' is {share} % of the training rows: a model that never predicts it has an accuracy of {dummy}; "
        "look at pr_auc instead.",
        "La clase '{label}' es el {share} % de las filas de entrenamiento: un modelo que nunca la predice tiene una "
        "exactitud de {dummy}; mire pr_auc.",
    ),
    "small_test": FindingKind(
        "warning",
        "The test part has {rows} rows, about {rare} of them of the rarest class: mind the width of the intervals.",
        "La parte de prueba tiene {rows} filas, unas {rare} de la clase más rara: fíjese en la anchura "
        "de los intervalos.",
    ),
    "null_in_train": FindingKind(
        "warning",
        "'{column}' has no value in any training row; a model learns nothing from it.",
        "'{column}' no tiene valor en ninguna fila de entrenamiento; el modelo no aprende nada de ella.",
    ),
    "constant_in_train": FindingKind(
        "warning",
        "'{column}' has one value only in the training rows; a model learns nothing from it.",
        "'{column}' tiene un solo valor en las filas de entrenamiento; el modelo no aprende nada de ella.",
    ),
    "no_words": FindingKind(
        "warning",
        "'{column}' is text, but none of its {rows:,} training texts has a word besides the commonest ones (the, of, "
        "and …); a model learns nothing from it.",
        "'{column}' es texto, pero ninguno de sus {rows:,} textos de entrenamiento tiene palabras aparte de las más "
        "comunes (el, de, y …); el modelo no aprende nada de ella.",
    ),
    "nearly_unique": FindingKind(
        "warning",
        "'{column}' has {values} different values in {rows} training rows, like an identifier; drop it or declare it "
        '"id" in [data.types].',
        "'{column}' tiene {values} valores distintos en {rows} filas de entrenamiento, como un identificador; quítela "
        'o declárela "id" en [data.types].',
    ),
    "allow_unused": FindingKind(
        "info",
        "[audit] allow names '{column}', but nothing was found there to accept.",
        "[audit] allow nombra '{column}', pero no se encontró nada que aceptar.",
    ),
    # what the schema decided for the user (`tahona.learn.inference`, `tahona.learn.labels`)
    "identifier": FindingKind(
        "warning",
        "'{column}' only names its rows ({distinct:,} distinct values in {rows:,} rows); not used as a feature. "
        "Declare its type in [data.types] if it is one.",
        "'{column}' solo identifica sus filas ({distinct:,} valores distintos en {rows:,} filas); no se usa como "
        "variable. Declare su tipo en [data.types] si lo es.",
    ),
    "mixed_types": FindingKind(
        "warning",
        "'{column}' mixes types (numbers: {number:,}, booleans: {boolean:,}, dates: {date:,}, texts: {text:,}); "
        "every value is read as text.",
        "'{column}' mezcla tipos (números: {number:,}, booleanos: {boolean:,}, fechas: {date:,}, textos: {text:,}); "
        "todos sus valores se leen como texto.",
    ),
    "leading_zeros": FindingKind(
        "warning",
        "'{column}' holds codes with leading zeros; kept as text, {distinct:,} distinct values.",
        "'{column}' contiene códigos con ceros a la izquierda; se conservan como texto, {distinct:,} valores "
        "distintos.",
    ),
    "numbers_as_text": FindingKind(
        "warning",
        "'{column}' holds numbers written as text; read as {distinct:,} categories. If they are quantities, turn them "
        "into numbers in a cleaning function.",
        "'{column}' contiene números escritos como texto; se leen como {distinct:,} categorías. Si son cantidades, "
        "conviértalos en números en una función de limpieza.",
    ),
    "many_levels": FindingKind(
        "warning",
        "'{column}' has {distinct:,} categories in {rows:,} rows; only the frequent ones are told apart.",
        "'{column}' tiene {distinct:,} categorías en {rows:,} filas; solo se distinguen las frecuentes.",
    ),
    "date_form": FindingKind(
        "info", "'{column}' is read as dates of the form {form}.", "'{column}' se lee como fechas de la forma {form}."
    ),
    "dates_unread": FindingKind(
        "warning",
        "'{column}' looks like dates ({dated:,} of {distinct:,} distinct values), but not all have one form; "
        "not read as dates.",
        "'{column}' parece contener fechas ({dated:,} de {distinct:,} valores distintos), pero no todas tienen la "
        "misma forma; no se lee como fecha.",
    ),
    "label_variants": FindingKind(
        "error",
        "The label '{column}' has {variants} classes that differ only in case, blanks or '.0' ({rows:,} rows). "
        "Make them one in a cleaning function.",
        "La etiqueta '{column}' tiene {variants} clases que solo difieren en mayúsculas, espacios o '.0' ({rows:,} "
        "filas). Unifíquelas en una función de limpieza.",
    ),
    # what the test rows showed (`tahona.learn.evaluation`)
    "accuracy_misleads": FindingKind(
        "warning",
        "Always saying '{label}' has an accuracy of {dummy} on the test rows, so the model's {accuracy} says little; "
        "read PR AUC instead ({pr_auc}).",
        "Decir siempre '{label}' tiene una exactitud de {dummy} en las filas de prueba, así que la del modelo "
        "({accuracy}) dice poco; mire el AUC PR ({pr_auc}).",
    ),
    "never_predicted": FindingKind(
        "warning",
        "The chosen model never says '{label}', though {rows} test rows are of that class.",
        "El modelo elegido nunca dice '{label}', aunque {rows} filas de prueba son de esa clase.",
    ),
    "no_better_than_dummy": FindingKind(
        "warning",
        "By {metric}, the chosen model is not certainly better than the dummy: difference {difference}, 95 % interval "
        "{low} to {high}.",
        "Según {metric}, no es seguro que el modelo elegido sea mejor que el trivial: diferencia {difference}, "
        "intervalo del 95 % de {low} a {high}.",
    ),
    "worse_than_folds": FindingKind(
        "warning",
        "{metric} is {test} on the test rows, certainly worse than the {folds} of the folds: the test rows differ from "
        "the training rows, or the folds share something that the test does not.",
        "{metric} es {test} en las filas de prueba, con seguridad peor que el {folds} de las particiones: las filas de "
        "prueba difieren de las de entrenamiento, o las particiones comparten algo que la prueba no tiene.",
    ),
    "weak_slice": FindingKind(
        "warning",
        "The model is weaker where '{column}' = '{level}' ({rows} test rows): {metric} {value}, overall {overall}.",
        "El modelo es más débil donde '{column}' = '{level}' ({rows} filas de prueba): {metric} {value} frente a "
        "{overall} en total.",
    ),
    # what the search could not do as asked
    "rows_capped": FindingKind(
        "warning",
        "{family} learnt from {used} of {rows} training rows (a sample with the same class shares): more would take "
        "too long.",
        "{family} aprendió de {used} de las {rows} filas de entrenamiento (una muestra con las mismas proporciones de "
        "clases): con más tardaría demasiado.",
    ),
    "time_budget": FindingKind(
        "info",
        "The searches ended with the time ({budget}), not after a number of trials: another run may find something "
        "else. What a number of trials finds is found again.",
        "Las búsquedas terminaron con el tiempo ({budget}), no tras un número de pruebas: otra ejecución puede "
        "encontrar otra cosa. Lo que encuentra un número de pruebas se vuelve a encontrar.",
    ),
    "landmarks_only": FindingKind(
        "warning",
        "{family} compared the {rows} rows it learnt from with {landmarks} of them, drawn at random, and not with each "
        "other (Nyström's approximation): that would take too long.",
        "{family} comparó las {rows} filas de las que aprendió con {landmarks} de ellas, elegidas al azar, y no todas "
        "entre sí (aproximación de Nyström): tardaría demasiado.",
    ),
    "failed_trials": FindingKind(
        "warning",
        "{failed} of {trials} trials of {family} failed ({error}); the best of the others was taken.",
        "{failed} de las {trials} pruebas de {family} fallaron ({error}); se tomó la mejor de las demás.",
    ),
}
