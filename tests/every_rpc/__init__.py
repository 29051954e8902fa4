"""Every RPC of every contract: how to call each so that it succeeds, and what came back."""
