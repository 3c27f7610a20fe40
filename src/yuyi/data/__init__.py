"""From documents to training pairs: sources, cleaning, rules, duplicates, decontamination, preparation."""
