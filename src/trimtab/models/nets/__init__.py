"""Networks of our own: energy encoder, steering network, sentence encoders."""
