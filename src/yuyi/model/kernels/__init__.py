"""The compiled engine for processors: the encoder's inner loops in C++, built where a compiler is found."""
