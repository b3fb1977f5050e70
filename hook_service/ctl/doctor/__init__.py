"""`radioctl doctor`: finds what is wrong and says what, where, and how to mend it."""
