//! End-to-end vision-language pre-training: the command line and its library
