"""YouTube asked what it makes of a destination's stream, and its broadcast bound anew where that is wanted."""
