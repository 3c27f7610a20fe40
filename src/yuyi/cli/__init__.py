"""The command line: one file a verb, and each verb parses, calls one function and prints."""
