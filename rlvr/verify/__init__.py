"""Is the answer correct? One verifier for the training reward and for the evaluation.

This file imports nothing: the worker process runs it too, and pays for every module in memory and start-up
time.
"""
