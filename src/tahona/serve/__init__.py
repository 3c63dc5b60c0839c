"""The HTTP API: light workers at the front that predict, and one process at the back that does all the rest.

A worker (`front`) imports neither pandas nor scikit-learn nor a web framework: it checks keys and limits, answers
`/predict`, and passes every other request on to the back through a Unix socket. The back follows the ledger's champion
and says in one file which bundle the workers have to use; what they predicted reaches it through files as well.
"""
