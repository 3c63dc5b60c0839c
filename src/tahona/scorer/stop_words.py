"""Words too frequent to mean anything, in Spanish (with accents) and English.

Negations (no, ni, sin, not, without) are not among them: in a clinical text they turn the meaning round.
"""

from __future__ import annotations

_SPANISH = """
a acá ahí al algo alguien algún alguna algunas alguno algunos allá allí ambos ante antes aquel aquella aquellas
aquello aquellos aquí así aun aún aunque bajo bien cada casi como cómo con contra cual cuál cuales cuáles
cualquier cuando cuándo cuanto cuánto de del desde donde dónde dos durante e el él ella ellas ello ellos en
entonces entre era éramos eran eres es esa ésa esas ése ese eso esos esta está ésta estaba estaban estado están
estar estas éstas este éste esto estos éstos estoy estuvo fue fueron fui ha había habían haber habido hace hacen
hacer hacia han has hasta hay haya he hemos hizo hoy la las le les lo los luego más me mediante mi mí mía mías
mientras mío míos mis misma mismas mismo mismos mucha muchas mucho muchos muy nos nosotras nosotros nuestra
nuestras nuestro nuestros o os otra otras otro otros para pero poca pocas poco pocos por porque pues que qué
quien quién quienes quiénes se sea sean según ser será serán si sí sido siempre siendo sobre sois solo sólo
somos son soy su sus suya suyas suyo suyos tal tales también tan tanto te ti tiene tienen tener tenía toda
todas todavía todo todos tras tu tú tus tuya tuyo u un una unas uno unos usted ustedes va vamos van vosotras
vosotros vuestra vuestro y ya yo
"""

_ENGLISH = """
a about above after again all also am an and any are as at be because been before being below between both but
by can could did do does doing down during each few for from further had has have having he her here hers
herself him himself his how i if in into is it its itself just me more most my myself of off on once only or
other our ours ourselves out over own same she should so some such than that the their theirs them themselves
then there these they this those through to too under until up upon very was we were what when where which
while who whom why will with would you your yours yourself yourselves
"""

STOP_WORDS: dict[str, frozenset[str]] = {"es": frozenset(_SPANISH.split()), "en": frozenset(_ENGLISH.split())}
