"""API keys of the tests' own."""

import json

from app.web.http.access.keys import made


class NewKey:
    """A new key, its text, and how it is sent; as a text, its entry in the configuration."""

    def __init__(self, *scopes, models=()):
        self.text, self.id, sha256 = made()
        self.entry = {"id": self.id, "name": f"key of {self.id}", "sha256": sha256}
        self.entry["scopes"] = list(scopes or ["predict"])
        if models:
            self.entry["models"] = list(models)
        self.headers = {"Authorization": f"Bearer {self.text}"}
        self.environ = {"HTTP_AUTHORIZATION": f"Bearer {self.text}"}

    def __repr__(self):
        return json.dumps(self.entry)
