"""Models that run on other servers, which Modelhost calls over HTTP."""
