"""What goes on the air: the timeline, its audio and picture, the publisher and the destinations.

Stdlib only. Nothing here imports the web, the database or the validation of the configuration: these processes
run for months and nothing that blocks may block the timeline.
"""
