"""What the test reads: a line of JSON for each tool call."""

import hashlib
import json


def tell(result: dict, protocol: str, access_token: str | None = None) -> None:
    """Prints who the server says called. The token itself stays here; its hash tells a new one."""
    token = access_token and hashlib.sha256(access_token.encode()).hexdigest()
    print(json.dumps({"oid": result["oid"], "protocol": protocol, "token": token}), flush=True)
