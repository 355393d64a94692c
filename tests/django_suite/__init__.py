"""Django's own mail tests, with our backend in the place of Django's."""
