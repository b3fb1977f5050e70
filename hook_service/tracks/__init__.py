"""From a station's event to the loop that belongs on screen. Pure: nothing here touches a disk, a socket or a
database.
"""
