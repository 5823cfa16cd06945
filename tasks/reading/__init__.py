"""Reading what models answered: found, chosen, made safe to look at, and laid out for a terminal or a script."""
