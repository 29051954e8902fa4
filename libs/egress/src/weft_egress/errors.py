"""Why nothing was fetched. The messages go to whoever asked, who may be a model: they name no resolved address."""


class EgressError(Exception):
    """Nothing was fetched."""


class EgressDeniedError(EgressError):
    """It may not be reached, or not in this spelling."""


class EgressFailedError(EgressError):
    """It may be reached, and could not, or what came back cannot be used."""
