"""`radio-monitor`: looks at what the stations of this host send, as a viewer would."""
