"""Plots of data, training and evaluation. Its modules import matplotlib, so import them where they are used."""
