"""Cannot be imported: it needs a package that does not exist."""

from a_package_that_nobody_has import Base


class Unimportable(Base):
    qualified_name = "unimportable"
