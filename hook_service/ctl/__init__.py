"""`radioctl`: the operator's command line, on the host or elsewhere. It speaks the API, and nothing below it.

Only `radioctl doctor` looks past the API, because it is asked when that may not answer.
"""
