"""The nine stations of the road, one file each, in the order of `tahona.core.plan.ROAD`.

Each file has `run(context, inputs)`, which writes its results as files into `context.scratch`; the sections of the
project file that it READS; and the LIBRARIES whose versions change its result. `tahona.steps.table` lists them.
"""
