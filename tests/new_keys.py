"""API keys for tests."""

import json

from app.web.http.access.keys import generate_key


class NewKey:
    """A new key, its text and its headers; as a string, its entry in the configuration."""

    def __init__(self, *scopes, models=()):
        self.text, self.id, sha256 = generate_key()
        self.entry = {"id": self.id, "name": f"key of {self.id}", "sha256": sha256}
        self.entry["scopes"] = list(scopes or ["predict"])
        if models:
            self.entry["models"] = list(models)
        self.headers = {"Authorization": f"Bearer {self.text}"}
        self.environ = {"HTTP_AUTHORIZATION": f"Bearer {self.text}"}

    def __repr__(self):
        return json.dumps(self.entry)
