"""What only a GPU can show: that the numbers are right there, how fast it is, a sweep end to end.

Nothing is downloaded: weights are random and texts generated, for neither right nor fast depends
on their values.
"""
