"""The host's configuration: one YAML file, secrets from files beside it.

`load()` validates everything before a process does anything. Each problem is one line that names the key,
what is wrong with its value and how to mend it; unknown keys are errors, because a misspelt key that is
silently ignored is found at 3 a.m.

Secrets are never in the YAML file. They are files named after their use in `$CREDENTIALS_DIRECTORY`
(systemd's `LoadCredential=`) or, where that is unset, in `paths.credentials`:

==============================  ==============================================================
`database-password`             password of the role in `database.dsn` (optional)
`webhook-password`              AzuraCast's Basic auth password for the user `webhook.user`
`webhook-secret`                value of the `X-Webhook-Secret` header, for senders that can send one
`webhook-token`                 last path segment of `/webhook/azuracast/<token>`
`api-token`                     the operator's bearer token
`api-read-token`                one that may only read (optional)
`page-users`                    who may sign in to the page (YAML, see `config/users.py`; without it nobody can)
`session-key`                   signs the page's sessions; without it they end with the process
`STATION.azuracast-key`         API key of AzuraCast: for a station's library, and its now-playing API (optional)
`STATION.DESTINATION.key`       stream key of a destination (SRT: its stream id)
`STATION.DESTINATION.youtube`   authorisation to ask YouTube about a destination that has `youtube` (JSON)
==============================  ==============================================================
"""

from hook_service.config.credentials import missing_credentials
from hook_service.config.host import Host, Web
from hook_service.config.reading import DEFAULT_PATH, ConfigError, argument_parser, load
from hook_service.config.station import Station

__all__ = ["DEFAULT_PATH", "ConfigError", "Host", "Station", "Web", "argument_parser", "load", "missing_credentials"]
