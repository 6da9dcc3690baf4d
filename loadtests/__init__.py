"""Load for a dkv cluster: ``locust -f loadtests/``, or one of the files in it, from the project's directory.

Locust loads every ``.py`` below this directory as a module of its own, besides our imports of it: so no module here may
do anything when it is loaded, but for the three files of users at the top, which register the listeners (once).
"""
