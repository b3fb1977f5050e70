"""The rig: real servers, private to one directory, that stand in for the world around a station."""
