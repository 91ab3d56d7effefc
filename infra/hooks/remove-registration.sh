#!/bin/sh
# Removes the app registration that main.bicep made, for good, so that its names are free for the next `azd up`.
# It is found by the unique name that main.bicep gives it; one that you brought has another, and stays.
# azd runs it after `azd down`. By hand: set AZURE_SUBSCRIPTION_ID and AZURE_ENV_NAME.
set -eu

graph=${GRAPH_URL:-https://graph.microsoft.com}/v1.0
name="entrada-${AZURE_SUBSCRIPTION_ID:?}-${AZURE_ENV_NAME:?}"
by_hand="Remove the app registration \"Entrada ($AZURE_ENV_NAME)\" in the Entra admin center, \
under App registrations and then under Deleted applications."

fail() {
    printf '%s\n%s\n' "$1" "$by_hand" >&2
    exit 1
}

token=$(azd auth token --scope https://graph.microsoft.com/.default --output json |
    sed -n 's/.*"token": *"\([^"]*\)".*/\1/p')
[ -n "$token" ] || fail "azd gave no token for Microsoft Graph."

# ask METHOD PATH: sets `status` and `body`. The token goes by standard input, so that no list of processes shows it.
ask() {
    answer=$(printf 'header = "Authorization: Bearer %s"\n' "$token" |
        curl --silent --show-error --max-time 30 --retry 3 --config - --request "$1" --write-out '\n%{http_code}' "$graph$2") ||
        fail "Microsoft Graph does not answer."
    status=$(printf '%s' "$answer" | tail -n 1)
    body=$(printf '%s' "$answer" | sed '$d')
}

ask GET "/applications(uniqueName='$name')?\$select=id"
case $status in
    200) ;;
    404)
        printf 'There is no app registration %s.\n' "$name"
        exit 0
        ;;
    *) fail "Microsoft Graph answered $status when asked for the app registration." ;;
esac
id=$(printf '%s' "$body" | tr -d '\n' | sed -n 's/.*"id": *"\([0-9a-fA-F-]*\)".*/\1/p')
[ -n "$id" ] || fail "Microsoft Graph gave no id of the app registration."

ask DELETE "/applications/$id"
[ "$status" = 204 ] || fail "Microsoft Graph answered $status when told to delete the app registration."

# A moment passes until it is among the deleted ones.
for wait in 2 4 8 16; do
    ask DELETE "/directory/deletedItems/$id"
    [ "$status" = 404 ] || break
    sleep "${GRAPH_PAUSE:-$wait}"
done
[ "$status" = 204 ] || fail "The app registration is deleted, but not yet for good: Microsoft Graph answered $status."
printf 'The app registration %s is gone.\n' "$name"
