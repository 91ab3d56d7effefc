"""What has to hold of a deployment beyond the types: who may do what, and that both sides of each agreement say the same."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path

from .azd import SERVICES
from .azd import Up
from .azd import parameters
from .azd import variables
from .syntax import Call
from .syntax import File
from .syntax import Member
from .syntax import Node
from .syntax import Problem

# Deployments that differ: every rule holds for each.
DEPLOYMENTS = {
    "as it comes": {},
    "in a network": {"USE_VNET": "true"},
    "with a registration of its own": {"ENTRA_CLIENT_ID": "66666666-7777-8888-9999-000000000000"},
    "for two tenants": {
        "ENTRA_SIGN_IN_AUDIENCE": "AzureADMultipleOrgs",
        "ENTRA_ALLOWED_TENANTS": "11111111-2222-3333-4444-555555555555, 22222222-3333-4444-5555-666666666666",
        "ENTRA_GUESTS": "allow",
    },
    "with no replica at rest": {"MIN_REPLICAS": "0"},
}

ACR_PULL = "7f951dda-4ed3-4680-a7ca-43fe172d538d"
SECRETS_OFFICER = "b86a8fe4-44ce-4948-aee5-eccb2c155cd7"
DATA_CONTRIBUTOR = "00000000-0000-0000-0000-000000000002"
# All that anybody may do: identity, role, and where, as the end of the scope's id.
ROLES = {
    ("entrada", DATA_CONTRIBUTOR, "/dbs/entrada/colls/grants"),
    ("entrada", SECRETS_OFFICER, "/providers/Microsoft.KeyVault/vaults/*"),
    ("expenses", DATA_CONTRIBUTOR, "/dbs/expenses/colls/expenses"),
    ("pull", ACR_PULL, "/providers/Microsoft.ContainerRegistry/registries/*"),
}
# How long and of which letters names may be, where Azure is strict.
NAMES = {
    "Microsoft.App/containerApps": r"[a-z](?!.*--)[a-z0-9-]{0,30}[a-z0-9]",
    "Microsoft.App/managedEnvironments": r"[A-Za-z][A-Za-z0-9-]{0,58}[A-Za-z0-9]",
    "Microsoft.ContainerRegistry/registries": r"[A-Za-z0-9]{5,50}",
    "Microsoft.DocumentDB/databaseAccounts": r"[a-z0-9][a-z0-9-]{1,42}[a-z0-9]",
    "Microsoft.KeyVault/vaults": r"[A-Za-z](?!.*--)[A-Za-z0-9-]{1,22}[A-Za-z0-9]",
    "Microsoft.ManagedIdentity/userAssignedIdentities": r"[A-Za-z0-9][A-Za-z0-9_-]{2,127}",
}
# What a private endpoint of each is called, and the zone in which its name is looked up.
PRIVATE = {
    "Microsoft.DocumentDB/databaseAccounts": ("Sql", "privatelink.documents.azure.com"),
    "Microsoft.KeyVault/vaults": ("vault", "privatelink.vaultcore.azure.net"),
}
ENTRADA_PORT, EXPENSES_PORT = 8080, 9000


class Rules:
    """`texts` and `files` are those of infra/, `root` is the repository, whose program the Bicep has to suit."""

    def __init__(self, texts: dict[str, str], files: dict[str, File], root: Path):
        self.texts, self.files, self.root = texts, files, root
        self.problems: list[Problem] = []

    def problem(self, file: str, text: str, line: int = 1):
        problem = Problem(file, line, text)
        if problem not in self.problems:
            self.problems.append(problem)

    def run(self) -> list[Problem]:
        try:
            self.parameter_files()
            self.no_keys()
            for name, options in DEPLOYMENTS.items():
                self.deployment(name, Up(self.texts, self.files, options))
        except Problem as problem:
            self.problems.append(problem)
        return self.problems

    def source(self, path: str) -> str:
        return (self.root / path).read_text()

    def constant(self, path: str, name: str) -> str:
        """The value of a constant of the program."""
        return re.search(rf"const {name}: &str = \"([^\"]+)\"", self.source(path))[1]

    # Files against each other.

    def parameter_files(self):
        main = self.files["main.bicep"]
        options = self.parameter_file("main.parameters.json", main)
        documented = self.source("infra/README.md") if (self.root / "infra/README.md").exists() else ""
        basic = {"AZURE_ENV_NAME", "AZURE_LOCATION"}
        for option in sorted(options - basic):
            if f"`{option}`" not in documented:
                self.problem("main.parameters.json", f"README.md says nothing of {option}.")
        for name in sorted(options & set(main.outputs)):
            self.problem("main.bicep", f"The output {name} would change the option of that name at the next deployment.")
        used = set()
        for service in SERVICES:
            path, file = f"{service}.parameters.json", self.files[f"{service}.bicep"]
            known = set(main.outputs) | {f"SERVICE_{service.upper()}_IMAGE_NAME"}
            asked = self.parameter_file(path, file)
            used |= asked
            for name in sorted(asked - known):
                self.problem(path, f"main.bicep has no output {name}.")
            for name in parameters(path, self.texts[path]):
                # azd hands text to these files, whatever it is of.
                if name in file.params and file.params[name].type != "string":
                    self.problem(path, f"{name} is no string in {service}.bicep, and azd gives it one.")
        hooks = "".join(path.read_text() for path in sorted((self.root / "infra/hooks").glob("*")))
        for name, output in main.outputs.items():
            people = name == "AZURE_RESOURCE_GROUP" or f"`{name}`" in documented
            if name not in used and name not in hooks and not people:
                self.problem("main.bicep", f"Nobody reads the output {name}.", output.line)

    def parameter_file(self, path: str, file: File) -> set[str]:
        """The variables that it asks for."""
        given = parameters(path, self.texts[path])
        for name in given:
            if name not in file.params:
                self.problem(path, f"{file.path} has no param {name}.")
        for name, param in file.params.items():
            if param.default is None and name not in given:
                self.problem(path, f"{file.path} wants {name}.")
        return variables(given)

    def no_keys(self):
        """Nothing here reads a key, and no app has a secret."""
        for file in self.files.values():
            for node in nodes(file):
                if isinstance(node, Call) and node.function.startswith("list"):
                    self.problem(file.path, f"{node.function} reads a key.", node.line)
                if isinstance(node, Member) and node.name.startswith("list"):
                    self.problem(file.path, f"{node.name} reads a key.", node.line)
            for param in file.params.values():
                if "secure" in param.decorators:
                    self.problem(file.path, f"{param.name} is a secret, and there is none.", param.line)

    # A deployment.

    def deployment(self, name: str, up: Up):
        self.roles(up)
        self.names(up)
        self.registration(up)
        self.stored(up)
        for service in SERVICES:
            self.identities(up, service)
            self.secrets(up, service)
        self.program(up)
        self.sample(up)
        if "USE_VNET" in up.environment:
            self.closed(up)

    def principals(self, up: Up) -> dict[str, str]:
        """Whose identity an object id is: id-entrada-..., id-expenses-..., id-pull-..."""
        kind = "Microsoft.ManagedIdentity/userAssignedIdentities"
        return {
            made.get("properties")["principalId"]: made.name.split("-")[1] for made in up.world.made if made.type == kind
        }

    def roles(self, up: Up):
        people, found = self.principals(up), set()
        for made in up.world.made:
            properties = made.body.get("properties") or {}
            if "principalId" in properties:
                who = people.get(properties["principalId"], "somebody else")
                scope = properties.get("scope") or made.scope or made.id.partition("/providers/Microsoft.Authorization")[0]
                role = properties["roleDefinitionId"].rpartition("/")[2]
                found.add((who, role, scope))
            if made.type == "Microsoft.Graph/applications/federatedIdentityCredentials":
                who = people.get(made.body["subject"], "somebody else")
                if who != "entrada":
                    self.problem("modules/entra.bicep", f"The registration is spoken for by {who}, not by entrada.")
        for who, role, scope in sorted(found):
            if who == "expenses" and not scope.endswith("/dbs/expenses/colls/expenses"):
                self.problem("main.bicep", f"The sample's identity holds a role outside its container: {role} for {scope}.")
            elif not any(who == one and role == what and ends(scope, where) for one, what, where in ROLES):
                self.problem("main.bicep", f"The identity of {who} holds a role that it has no need of: {role} for {scope}.")
        for one, what, where in sorted(ROLES):
            if not any(who == one and role == what and ends(scope, where) for who, role, scope in found):
                self.problem("main.bicep", f"The identity of {one} lacks its role {what} for {where}.")

    def names(self, up: Up):
        taken = {}
        for made in up.world.made:
            pattern = NAMES.get(made.type)
            if pattern and not re.fullmatch(pattern, made.name):
                self.problem("main.bicep", f"{made.name} is no name for a {made.type}.")
            if taken.setdefault(made.id, made) is not made:
                self.problem("main.bicep", f"{made.id} is made twice.")

    def registration(self, up: Up):
        callback = up.environment["ENTRADA_PUBLIC_URL"] + self.constant("src/protocol/metadata.rs", "CALLBACK")
        if up.environment["ENTRADA_REDIRECT_URI"] != callback:
            self.problem("main.bicep", f"The program is called back at {callback}.")
        made = [one for one in up.world.made if one.type == "Microsoft.Graph/applications"]
        if bool(made) == ("ENTRA_CLIENT_ID" in up.environment):
            self.problem("main.bicep", "There is one registration: that which is made, or that which was brought.")
        for app in made:
            if app.body["web"]["redirectUris"] != [callback]:
                self.problem("modules/entra.bicep", f"The program is called back at {callback}, and nowhere else.")
            if app.body["api"]["requestedAccessTokenVersion"] != 2:
                self.problem("modules/entra.bicep", "Tokens are of version 2.")
            claims = {claim["name"] for claim in app.body["optionalClaims"]["idToken"]}
            for claim in sorted({"acct", "auth_time"} - claims):
                self.problem("modules/entra.bicep", f"The program needs the optional claim {claim}.")
            if app.body.get("groupMembershipClaims") not in ("SecurityGroup", "ApplicationGroup", "All"):
                self.problem("modules/entra.bicep", "The program learns of no group.")
            expected = f"entrada-{up.environment['AZURE_SUBSCRIPTION_ID']}-{up.environment['AZURE_ENV_NAME']}"
            if app.name != expected:
                self.problem("main.bicep", f"hooks/remove-registration.sh looks for {expected}, not for {app.name}.")
            scope = app.body["api"]["oauth2PermissionScopes"][0]["value"]
            if up.environment["ENTRADA_SCOPE"] != f"{up.environment['ENTRADA_CLIENT_ID']}/{scope}":
                self.problem("main.bicep", "The scope that the program asks for is not that of the registration.")
        for made in up.world.made:
            if made.type == "Microsoft.Graph/applications/federatedIdentityCredentials":
                said = (made.body["issuer"], made.body["subject"])
                if said != (up.environment["ENTRADA_CREDENTIAL_ISSUER"], up.environment["ENTRADA_CREDENTIAL_SUBJECT"]):
                    self.problem("modules/entra.bicep", "The credential is not that of the outputs.")

    def stored(self, up: Up):
        """The container of grants is the one that docs/storage.md has from the program."""
        block = re.search(r"<!-- container -->\n```json\n(.*?)```", self.source("docs/storage.md"), re.DOTALL)[1]
        wanted = json.loads(block)
        kind = "Microsoft.DocumentDB/databaseAccounts/sqlDatabases/containers"
        for made in up.world.made:
            if made.type == kind and made.name == wanted["id"] and made.body["properties"]["resource"] != wanted:
                self.problem("modules/data.bicep", "The container of grants is not that of docs/storage.md.")
            # examples/expenses/src/cosmos.rs.
            if made.type == kind and made.name == "expenses" and made.body["properties"]["resource"]["partitionKey"]["paths"] != ["/sub"]:
                self.problem("modules/data.bicep", "The sample keeps what it knows under /sub.")
            if made.type == "Microsoft.DocumentDB/databaseAccounts":
                properties = made.body["properties"]
                if not properties.get("disableLocalAuth") or properties.get("enableMultipleWriteLocations"):
                    self.problem("modules/data.bicep", "The account takes keys, or writes in several regions.")

    def identities(self, up: Up, service: str):
        app = up.app(service)
        own = up.environment[f"{service.upper()}_IDENTITY_ID"]
        pull = up.environment["PULL_IDENTITY_ID"]
        if set(app.body["identity"]["userAssignedIdentities"]) != {own, pull}:
            self.problem(f"{service}.bicep", "The app has its own identity and the one that pulls, and no other.")
        configuration = app.body["properties"]["configuration"]
        lives = {one["identity"]: one["lifecycle"] for one in configuration.get("identitySettings", [])}
        if lives != {own: "Main", pull: "None"}:
            self.problem(f"{service}.bicep", "What runs in the app can get a token of the identity that pulls.")
        if [one["identity"] for one in configuration["registries"]] != [pull]:
            self.problem(f"{service}.bicep", "The image is not pulled by the identity that pulls.")
        if app.body["tags"].get("azd-service-name") != service:
            self.problem(f"{service}.bicep", "azd finds the app by the tag azd-service-name.")

    def secrets(self, up: Up, service: str):
        app = up.app(service)
        if "secrets" in app.body["properties"]["configuration"]:
            self.problem(f"{service}.bicep", "The app has secrets.")
        for one in up.container(service)["env"]:
            if "secretRef" in one or re.search("SECRET|PASSWORD|_KEY$", one["name"]):
                self.problem(f"{service}.bicep", f"{one['name']} is a secret.")

    def port(self, up: Up, service: str, port: int, dockerfile: str):
        ingress = up.app(service).body["properties"]["configuration"]["ingress"]
        listens = up.variables(service)[f"{service.upper()}_LISTEN"]
        probed = {
            probe.get(kind, {}).get("port") for probe in up.container(service)["probes"] for kind in ("httpGet", "tcpSocket")
        }
        exposed = f"EXPOSE {port}\n" in self.source(dockerfile)
        if (ingress["targetPort"], listens, probed - {None}) != (port, f"0.0.0.0:{port}", {port}) or not exposed:
            self.problem(f"{service}.bicep", f"Ingress, probes, image and program do not all speak of {port}.")

    def program(self, up: Up):
        file = "entrada.bicep"
        self.port(up, "entrada", ENTRADA_PORT, "infra/Dockerfile")
        environment = up.variables("entrada")
        settings = set(re.findall(r"^\| `[^`]+` \| `(ENTRADA_\w+)` \|", self.source("README.md"), re.MULTILINE))
        for name in sorted(set(environment) - settings):
            self.problem(file, f"{name} is no setting of the program.")
        paths = {probe["type"]: probe["httpGet"]["path"] for probe in up.container("entrada")["probes"]}
        live, ready = (self.constant("src/protocol/metadata.rs", name) for name in ("LIVE", "READY"))
        if paths != {"Startup": live, "Readiness": ready, "Liveness": live}:
            self.problem(file, f"The probes are {live} and {ready}.")
        drain = int(re.search(r"DRAIN: Duration = Duration::from_secs\((\d+)\)", self.source("src/app/accept.rs"))[1])
        template = up.app("entrada").body["properties"]["template"]
        delay = int(re.fullmatch(r"(\d+)s|", environment.get("ENTRADA_STOP_DELAY", ""))[1] or 0)
        if template["terminationGracePeriodSeconds"] <= delay + drain:
            self.problem(file, f"The program takes {delay + drain} s to stop.")
        (readiness,) = (probe for probe in up.container("entrada")["probes"] if probe["type"] == "Readiness")
        if delay <= readiness["periodSeconds"] * readiness["failureThreshold"]:
            self.problem(file, "The program is gone before its readiness has failed.")
        if template["scale"]["minReplicas"] != int(up.environment.get("MIN_REPLICAS", 1)):
            self.problem(file, "There are not as many replicas as the option says.")
        several = environment["ENTRADA_UPSTREAM__TENANT"] == "organizations"
        if several != ("ENTRADA_UPSTREAM__ALLOWED_TENANTS" in environment):
            self.problem(file, "Tenants are listed where people of several sign in, and only there.")
        self.resources(up, environment)

    def resources(self, up: Up, environment: dict[str, str]):
        file = "entrada.bicep"
        tenants = environment.get("ENTRADA_UPSTREAM__ALLOWED_TENANTS")
        asked = up.environment.get("ENTRA_ALLOWED_TENANTS")
        if tenants and asked and toml(tenants) != asked.replace(" ", "").split(","):
            self.problem(file, "The tenants are not those of the option.")
        if toml(environment["ENTRADA_UPSTREAM__SCOPES"]) != [up.environment["ENTRADA_SCOPE"]]:
            self.problem(file, "The scopes are not those of the output.")
        expenses = toml(environment["ENTRADA_RESOURCE"])[0]
        if environment["ENTRADA_PUBLIC_URL"] + expenses["path"] != up.environment["ENTRADA_MCP_URL"]:
            self.problem(file, "ENTRADA_MCP_URL is another address than that of the resource.")
        tools = dict(re.findall(r"^\| `(\w+)` \| `(mcp\.\w+)` \|", self.source("examples/expenses/README.md"), re.MULTILINE))
        if expenses["tools"] != tools or set(tools.values()) != set(expenses["scopes"]):
            self.problem(file, f"The tools of the sample and their scopes are {tools}.")

    def sample(self, up: Up):
        file = "expenses.bicep"
        self.port(up, "expenses", EXPENSES_PORT, "infra/expenses.Dockerfile")
        environment = up.variables("expenses")
        ingress = up.app("expenses").get("properties")["configuration"]["ingress"]
        if ingress["external"]:
            self.problem(file, "The sample is on the internet.")
        if environment["EXPENSES_AUDIENCE"] != f"https://{ingress['fqdn']}/mcp":
            self.problem(file, "The audience is not the address of the app.")
        upstream = toml(up.variables("entrada")["ENTRADA_RESOURCE"])[0]["upstream"]
        if environment["EXPENSES_AUDIENCE"] != upstream:
            self.problem(file, "The audience is another address than the upstream of the gateway.")
        if environment["EXPENSES_ISSUER"] != up.variables("entrada")["ENTRADA_PUBLIC_URL"]:
            self.problem(file, "The issuer is not the program.")
        known = self.source("examples/expenses/src/main.rs")
        for name in sorted(environment):
            if not re.search(rf"\b{name}\b", known):
                self.problem(file, f"{name} is no setting of the sample.")

    def closed(self, up: Up):
        zones = {made.id: made.name for made in up.world.made if made.type == "Microsoft.Network/privateDnsZones"}
        linked = {
            made.id.partition("/virtualNetworkLinks/")[0]
            for made in up.world.made
            if made.type == "Microsoft.Network/privateDnsZones/virtualNetworkLinks"
        }
        reached = {}
        for made in up.world.made:
            if made.type == "Microsoft.Network/privateEndpoints":
                connection = made.body["properties"]["privateLinkServiceConnections"][0]["properties"]
                zone = next(
                    group.body["properties"]["privateDnsZoneConfigs"][0]["properties"]["privateDnsZoneId"]
                    for group in up.world.made
                    if group.id.startswith(f"{made.id}/privateDnsZoneGroups/")
                )
                name = zones.get(zone) if zone in linked else None
                reached[connection["privateLinkServiceId"]] = (*connection["groupIds"], name)
        for made in up.world.made:
            if made.type in PRIVATE:
                if made.body["properties"]["publicNetworkAccess"] != "Disabled":
                    self.problem("main.bicep", f"{made.name} is on the internet despite USE_VNET.")
                if reached.get(made.id) != PRIVATE[made.type]:
                    self.problem("main.bicep", f"{made.name} is not reached by the private endpoint {PRIVATE[made.type]}.")


def toml(value: str) -> list:
    """A list, as the program reads it from a variable."""
    try:
        return tomllib.loads(f"list = {value}")["list"]
    except tomllib.TOMLDecodeError as error:
        raise Problem("entrada.bicep", 1, f"{value} is no TOML: {error}.") from None


def ends(scope: str, pattern: str) -> bool:
    return bool(re.search(re.escape(pattern).replace(r"\*", "[^/]+") + "$", scope))


def nodes(file: File):
    """Every node of a file."""
    waiting = [*file.params.values(), *file.vars.values(), *file.resources.values(), *file.modules.values()]
    waiting += file.outputs.values()
    while waiting:
        one = waiting.pop()
        if isinstance(one, Node):
            yield one
            waiting += [value for name, value in vars(one).items() if name != "outer"]
        elif isinstance(one, (list, tuple)):
            waiting += one
        elif isinstance(one, dict):
            waiting += one.values()
