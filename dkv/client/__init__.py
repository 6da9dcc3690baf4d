"""The client that users and the testbed share."""
