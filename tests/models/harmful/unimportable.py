"""Cannot be imported: it wants a package that nobody has."""

from a_package_that_nobody_has import Base


class Unimportable(Base):
    qualified_name = "unimportable"
