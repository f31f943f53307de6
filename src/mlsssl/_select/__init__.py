"""Which machine is meant: the one given, else this computer, else the embedded one."""
