#!/bin/sh
# Where to connect to. azd runs it after `azd up`, with the outputs of main.bicep in the environment.
set -eu

cat <<TEXT

MCP server:   $ENTRADA_MCP_URL
VS Code:      put this into .vscode/mcp.json
              $ENTRADA_VSCODE
Claude Code:  $ENTRADA_CLAUDE_CODE
TEXT
