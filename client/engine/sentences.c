/* The table of sentences. Nothing else in the client writes text for people; a translation would replace this file. */
#include "engine/sentences.h"
#include "base/status.h"
#include <assert.h>
#include <stddef.h>
#include <string.h>

static const struct {
    const char *code;
    int exit;
    const char *text;
} table[SAY_COUNT] = {
    [SAY_USAGE] = { "usage", EXIT_USAGE, "$1" },
    [SAY_UNKNOWN_METHOD] = { "unknown-method", EXIT_USAGE, "there is no method called $1; docs/RPC.md lists them" },
    [SAY_BAD_PARAMETER] = { "bad-parameter", EXIT_USAGE, "$1: the parameter $2 is missing or of the wrong type; docs/RPC.md lists them" },
    [SAY_NO_PARAMETER] = { "bad-parameter", EXIT_USAGE, "$1 takes no parameter $2; docs/RPC.md lists them" },
    [SAY_INTERNAL] = { "internal", EXIT_FAILED, "something inside tacet went wrong ($1); nothing was changed. Please report it" },
    [SAY_NO_MEMORY] = { "no-memory", EXIT_FAILED, "not enough memory; nothing was changed. Close other programs and try again" },
    [SAY_STOPPING] = { "stopping", EXIT_FAILED, "the engine is closing; what was queued is kept. Try again" },
    [SAY_TIMEOUT] = { "timeout", EXIT_TIMEOUT, "no answer in time; what was queued is kept. Try again, or allow more with --timeout" },
    [SAY_STOPPED] = { "interrupted", EXIT_FAILED, "interrupted; what was queued is kept and goes out with the next command that reaches the relay" },
    [SAY_WAS_LOCKED] = { "locked", EXIT_LOCKED, "somebody locked this profile (tacet lock). Unlock it: tacet unlock" },
    [SAY_NOT_RUNNING] = { "not-running", EXIT_NOT_FOUND, "no tacet runs on this profile. Start one: tacet receive --follow, or tacet rpc" },
    [SAY_OFFLINE] = { "offline", EXIT_UNREACHABLE, "this needs the relay, and the engine was told to stay offline. Try again online" },

    [SAY_NO_ACCOUNT] = { "no-account", EXIT_NOT_FOUND, "this profile has no account yet. Make one: tacet init --relay ADDRESS --name NAME" },
    [SAY_ACCOUNT_EXISTS] = { "account-exists", EXIT_FAILED,
                             "this profile already has the account $1; nothing was changed. For a second one: tacet --profile OTHER init …" },
    [SAY_VAULT_DAMAGED] = { "vault-damaged", EXIT_FAILED,
                            "the vault $1 is damaged, or its key file belongs to another one; nothing was changed. Restore a backup: tacet restore "
                            "FILE" },
    [SAY_VAULT_NEWER] = { "vault-newer", EXIT_FAILED,
                          "the vault $1 was made by a newer tacet; nothing was changed. Use that version, or a newer one" },
    [SAY_VAULT_BUSY] = { "vault-busy", EXIT_FAILED, "another program has the vault $1 open. Close it and try again" },
    [SAY_VAULT_UNSAFE] = { "vault-unsafe", EXIT_FAILED,
                           "the SQLCipher library refused a setting that keeps the vault secret; it was not opened. Install the library that tacet "
                           "names" },
    [SAY_DISK_FULL] = { "disk-full", EXIT_FAILED, "the disk is full where $1 lies; nothing was lost. Free some space and try again" },
    [SAY_READ_ONLY] = { "read-only", EXIT_FAILED,
                        "$1 cannot be written to (read-only); nothing was changed. Make it writable, or choose another --home" },
    [SAY_IO] = { "io", EXIT_FAILED, "reading or writing $1 failed ($2). Check the disk and try again" },
    [SAY_LOCKING] = { "memory-lock", EXIT_FAILED,
                      "the system would not lock $1 MiB of memory for keys, so they could reach the disk. Raise the limit (ulimit -l, "
                      "LimitMEMLOCK)" },
    [SAY_LOCKED] = { "locked", EXIT_LOCKED,
                     "the vault is locked and there is nobody to ask for the passphrase. Unlock it: tacet unlock, or --passphrase-file FILE" },
    [SAY_NO_NEW_PASSPHRASE] = { "locked", EXIT_LOCKED,
                                "this needs a new passphrase and there is nobody to ask; nothing was made. Give it in a file or by a descriptor "
                                "(see --help), or say --no-passphrase" },
    [SAY_PASSPHRASE] = { "wrong-passphrase", EXIT_LOCKED, "wrong passphrase; nothing was opened. Try again" },
    [SAY_KEY_FILE_DAMAGED] = { "key-file-damaged", EXIT_FAILED,
                               "the key file $1 is damaged; the passphrase may well be right. Restore it from a backup: tacet restore FILE" },
    [SAY_KEY_FILE_MISSING] = { "key-file-missing", EXIT_FAILED,
                               "the key file $1 is missing beside the vault. Restore it from a backup: tacet restore FILE" },
    [SAY_PERMISSIONS] = { "permissions", EXIT_FAILED, "others can reach $1; it was not used. Close it: chmod $2 $1" },
    [SAY_HOST_BUSY] = { "profile-busy", EXIT_FAILED, "another tacet (process $1) holds this profile and does not answer. End it, then try again" },
    [SAY_BAD_PROFILE] = { "bad-profile", EXIT_USAGE,
                          "$1 is no profile name: letters, digits, dot, dash and underscore, at most 32, the first a letter or digit. Choose "
                          "another" },
    [SAY_NO_HOME] = { "no-home", EXIT_USAGE, "there is no place for profiles: the path is unknown or too long. Say --home DIR, or set TACET_HOME" },
    [SAY_FOREIGN_OWNER] = { "foreign-owner", EXIT_FAILED, "$1 belongs to another user; it was not used. Choose another --home, or: chown $2 $1" },
    [SAY_KEY_FILE_NEWER] = { "key-file-newer", EXIT_FAILED,
                             "the key file $1 was made by a newer tacet; nothing was changed. Use that version, or a newer one" },
    [SAY_KEY_FILE_EXISTS] = { "key-file-exists", EXIT_FAILED,
                              "there is already a key file $1; nothing was changed. For a second account: tacet --profile OTHER init …" },
    [SAY_KEYRING] = { "no-keyring", EXIT_FAILED,
                      "the kernel keyring failed ($1). Where it cannot be used, give the passphrase with each command (--passphrase-file "
                      "FILE)" },
    [SAY_PASSPHRASE_BAD] = { "bad-passphrase", EXIT_USAGE, "a passphrase is one line of 1 to $1 bytes; nothing was done. Give another one" },
    [SAY_PASSPHRASE_DIFFERS] = { "passphrases-differ", EXIT_USAGE, "the two passphrases differ; nothing was done. Try again" },
    [SAY_PASSPHRASE_UNREADABLE] = { "passphrase-unreadable", EXIT_FAILED,
                                    "the passphrase could not be read from $1 ($2); nothing was done. Check it and try again" },

    [SAY_FILE_EXISTS] = { "file-exists", EXIT_FAILED, "there is already a file $1; nothing was written. Choose another name, or remove it first" },
    [SAY_RESTORE_UNFINISHED] = { "restore-unfinished", EXIT_NOT_FOUND,
                                 "the restore of this profile has not come to its end. Go on with: tacet restore FILE" },
    [SAY_BACKUP_RUNS] = { "backup-runs", EXIT_FAILED, "a backup of this profile is being written already. Wait until it is done" },
    [SAY_BACKUP_NONE] = { "no-backup", EXIT_FAILED, "$1 is no backup of tacet; nothing was changed. Make one with: tacet backup FILE" },
    [SAY_BACKUP_NEWER] = { "backup-newer", EXIT_FAILED,
                           "the backup $1 was made by a newer tacet; nothing was changed. Use that version, or a newer one" },
    [SAY_BACKUP_CUT] = { "backup-cut", EXIT_FAILED,
                         "the backup $1 is cut off: its end is missing; nothing was changed. Copy it again from where it is "
                         "whole" },
    [SAY_BACKUP_DAMAGED] = { "backup-damaged", EXIT_FAILED,
                             "the backup $1 is damaged; the passphrase may well be right. Nothing was changed. Use another copy, or an older "
                             "backup" },
    [SAY_BACKUP_PASSPHRASE] = { "wrong-passphrase", EXIT_LOCKED,
                                "this is not the passphrase of the backup; nothing was opened. It is the one that was chosen for the file. Try "
                                "again" },

    [SAY_BAD_NAME] = { "bad-name", EXIT_USAGE,
                       "$1 is no name: lower-case letters, digits, dot, dash and underscore, at most 32, the first a letter or digit. Choose "
                       "another" },
    [SAY_BAD_LINK] = { "bad-link", EXIT_USAGE,
                       "this is no contact link: it is damaged or incomplete. Ask for it again; it looks like "
                       "tacet://NAME@HOST:PORT/KEY#ACCOUNT.TOKEN" },
    [SAY_BAD_RELAY] = { "bad-relay", EXIT_USAGE,
                        "this is no relay address: it looks like tacet://HOST:PORT/KEY. The relay prints it when it starts (tacetd run)" },
    [SAY_NO_CONTACT] = { "no-such-contact", EXIT_NOT_FOUND, "there is no contact called $1. See: tacet contacts. Add somebody: tacet add LINK" },
    [SAY_NO_REQUEST] = { "no-such-request", EXIT_NOT_FOUND, "there is no request from $1. See: tacet requests" },
    [SAY_NO_NAME] = { "no-such-name", EXIT_NOT_FOUND,
                      "nobody is listed as $1 on your relay. Ask for their link (tacet whoami prints it): tacet add LINK" },
    [SAY_NO_MESSAGE] = { "no-such-message", EXIT_NOT_FOUND, "there is no message $1 in this conversation. Their ids: tacet history NAME --json" },
    [SAY_NO_CURSOR] = { "no-such-cursor", EXIT_NOT_FOUND, "there is no cursor called $1: the first receive with that name makes it" },
    [SAY_CURSORS_MANY] = { "too-many-cursors", EXIT_QUOTA, "there are $1 cursors already. Remove one that nobody uses (method cursor-remove)" },
    [SAY_NAME_IN_USE] = { "name-in-use", EXIT_FAILED, "there is already a contact called $1. Choose another name" },
    [SAY_SELF] = { "self", EXIT_FAILED, "this is your own account; nothing was added. Give your link to others and add theirs" },
    [SAY_PENDING] = { "not-accepted", EXIT_FAILED, "$1 asked to write to you and you have not decided; nothing was sent. First: tacet accept $1" },
    [SAY_CLOCK] = { "clock", EXIT_FAILED,
                    "this machine's clock is $1 off against the relay's; nothing was changed. Set the clock (or ask who runs the relay) and try "
                    "again" },
    [SAY_BLOCKED] = { "blocked", EXIT_FAILED, "$1 is blocked; nothing was sent. First: tacet unblock $1" },
    [SAY_TEXT_EMPTY] = { "empty", EXIT_USAGE, "the message is empty; nothing was sent. Give a text, or - to read it from stdin" },
    [SAY_TEXT_LONG] = { "too-long", EXIT_USAGE,
                        "the message is longer than $1 bytes; nothing was sent. Send it as a file: tacet send NAME --file PATH" },
    [SAY_REQUEST_LONG] = { "too-long", EXIT_USAGE,
                           "the text of a request may have $1 bytes; nothing was sent. Shorten it, and write more once they accepted" },
    [SAY_TEXT_UTF8] = { "not-utf8", EXIT_USAGE, "the text is not UTF-8; nothing was sent. Send other data as a file: tacet send NAME --file PATH" },
    [SAY_BAD_SEARCH] = { "bad-search", EXIT_USAGE, "there is nothing to search for in \"$1\". Give at least one word" },
    [SAY_DIGITS_DIFFER] = { "safety-number-differs", EXIT_TRUST,
                            "the number does not match the one for $1; not verified. Somebody may be in between, or a digit is wrong: compare "
                            "again" },
    [SAY_DIGITS_MALFORMED] = { "bad-digits", EXIT_USAGE, "a safety number has 60 digits. Compare the whole number: tacet verify $1" },

    [SAY_KEY_CHANGED] = { "key-changed", EXIT_TRUST,
                          "$1's key has changed; nothing was sent. Compare safety numbers (tacet verify $1), then: tacet trust $1" },
    [SAY_NOTHING_CHANGED] = { "nothing-changed", EXIT_FAILED, "$1's key has not changed; there is nothing to trust. To verify it: tacet verify $1" },
    [SAY_NOTHING_TRUSTED] = { "nothing-trusted", EXIT_FAILED,
                              "$1 is not verified and no changed key of theirs was accepted; there is nothing to take back. See: tacet verify $1" },
    [SAY_FORK] = { "list-fork", EXIT_TRUST,
                   "the relay showed two different device lists of $1; nothing was sent. Somebody lies: compare safety numbers (tacet verify $1)" },
    [SAY_LISTS_FORGED] = { "list-forged", EXIT_TRUST,
                           "the device list that the relay gave for $1 is not signed by that account; nothing was sent. Ask for the link again" },
    [SAY_PREKEYS_FORGED] = { "prekeys-forged", EXIT_TRUST,
                             "the keys that the relay gave for $1 are not signed by their device, or expired; nothing was sent. Try again later" },
    [SAY_DIRECTORY_FORGED] = { "directory-forged", EXIT_TRUST,
                               "what the relay's directory says about $1 is not signed properly; nothing was sent. Ask for their link: tacet add "
                               "LINK" },
    [SAY_LINK_DEAD] = { "link-replaced", EXIT_NOT_FOUND,
                        "the relay does not take requests for this link any more. Ask $1 for a new one (tacet link)" },
    [SAY_NOT_TAKEN] = { "refused", EXIT_FAILED,
                        "the relay takes nothing from you for $1 any more; it was not delivered. They may have removed you: ask them by another "
                        "way" },
    [SAY_DOWNGRADE] = { "downgrade", EXIT_TRUST,
                        "$1's device claims to speak an older protocol than before; nothing was sent. Compare safety numbers (tacet verify $1)" },

    [SAY_OWN_FORK] = { "own-list-fork", EXIT_TRUST,
                       "the relay shows another device list of your account than the one known here; nothing was changed. The relay lies, or "
                       "somebody "
                       "has your identity key: make a new account and tell your contacts" },
    [SAY_OWN_ROLLBACK] = { "own-list-rollback", EXIT_TRUST,
                           "the relay has forgotten the newest device list of your account; nothing was changed. Ask who runs it whether it was "
                           "reset, and try again" },
    [SAY_REPLACED] = { "replaced", EXIT_TRUST,
                       "this profile was replaced by a backup that was restored elsewhere; nothing was sent or received. Its history can still be "
                       "read; write with the other one" },

    [SAY_UNREACHABLE] = { "relay-unreachable", EXIT_UNREACHABLE,
                          "no connection to the relay $1 ($2). Check the network; it goes on at the next try" },
    [SAY_PROXY] = { "proxy", EXIT_UNREACHABLE,
                    "no connection through the proxy ($1); what was queued is kept. Start it, or check --proxy and ALL_PROXY" },
    [SAY_BAD_PROXY] = { "bad-proxy", EXIT_USAGE,
                        "this is no SOCKS5 proxy, and nothing goes past it: say HOST:PORT or socks5h://HOST:PORT (--proxy, ALL_PROXY), or --proxy "
                        "none" },
    [SAY_PROXY_OF_HOST] = { "proxy-of-host", EXIT_USAGE,
                            "another tacet runs on this profile and makes the connections in its own way. End it (tacet lock), or leave --proxy "
                            "out" },
    [SAY_RELAY_KEY] = { "relay-key", EXIT_TRUST,
                        "what answers at $1 is not the relay with the key in its address; nothing was sent. Check the address, or who is in "
                        "between" },
    [SAY_RELAY_EARLY] = { "relay-key", EXIT_TRUST,
                          "what answers at $1 broke the handshake off: it is not the relay with that key, or it is overloaded; nothing was sent. "
                          "Check "
                          "the address, then try again" },
    [SAY_RELAY_VERSION] = { "relay-version", EXIT_FAILED, "the relay $1 says that it does not speak this version. Use a tacet that fits the relay" },
    [SAY_RELAY_BROKEN] = { "relay-protocol", EXIT_FAILED, "the relay $1 answered something that cannot be ($2). Ask who runs it" },
    [SAY_NAME_TAKEN] = { "name-taken", EXIT_FAILED, "the name $1 is taken on this relay. Choose another: tacet init --relay ADDRESS --name OTHER" },
    [SAY_REGISTRATION_CLOSED] = { "registration-closed", EXIT_FAILED, "this relay takes no new accounts. Choose another relay" },
    [SAY_INVITE] = { "invite", EXIT_FAILED,
                     "this relay takes new accounts by invitation only, and this one is missing, used up or expired. Ask for one: --invite TOKEN" },
    [SAY_RELAY_QUOTA] = { "quota", EXIT_QUOTA,
                          "the relay's limit for $1 is reached; what was queued is kept. It goes on by itself when there is room" },
    [SAY_RELAY_RATE] = { "rate", EXIT_QUOTA, "too many requests to the relay $1 in a short time. Wait ten minutes and try again" },
    [SAY_RELAY_REFUSED] = { "refused", EXIT_FAILED, "the relay $1 refused it ($2); nothing was changed" },
    [SAY_NOT_REGISTERED] = { "not-registered", EXIT_FAILED,
                             "the relay $1 does not know this account any more: it was replaced or lost its data. Ask who runs it" },

    [SAY_CHAT_NOBODY] = { "nobody", EXIT_NOT_FOUND, "there is nobody to send this to yet. Add somebody: /add LINK" },
    [SAY_CHAT_STOPPED] = { "stopped", EXIT_TRUST, "nothing was sent to $1; what you wrote is still here. $2" },
    [SAY_CHAT_FULL] = { "too-long", EXIT_USAGE, "a message has at most $1 bytes; the rest was left out. Longer things go as a file: /file PATH" },
    [SAY_CHAT_CLEAR_FIRST] = { "usage", EXIT_USAGE, "send or clear what you wrote, then: /search WORDS" },
    [SAY_CHAT_LEAVE] = { "leave", EXIT_DONE, "Ctrl-C again leaves (so does Ctrl-Q, or /quit); drafts are kept" },
    [SAY_CHAT_NOTHING_FOUND] = { "not-found", EXIT_NOT_FOUND, "nothing was found for $1. Fewer words, or the beginning of one, find more" },
    [SAY_CHAT_ASKING] = { "asking", EXIT_DONE, "asking the relay about $1 …" },
    [SAY_CHAT_NO_COMMAND] = { "usage", EXIT_USAGE, "there is no command /$1; F1 shows all. To send a text that begins with a slash, write two" },
    [SAY_CHAT_COMMAND_USAGE] = { "usage", EXIT_USAGE, "this command is used so: /$1 $2" },
    [SAY_CHAT_NO_CONVERSATION] = { "no-conversation", EXIT_NOT_FOUND, "there is no conversation yet. Add somebody: /add LINK" },
    [SAY_CHAT_NO_CONTACT] = { "no-such-contact", EXIT_NOT_FOUND, "there is no contact called $1; /add LINK adds one" },
    [SAY_CHAT_TRUSTED] = { "trusted", EXIT_DONE, "$1 has the new key now; nobody compared numbers yet: /verify" },
    [SAY_CHAT_UNTRUSTED] = { "untrusted", EXIT_DONE, "what was decided about the key of $1 is taken back" },
    [SAY_CHAT_ADDED] = { "added", EXIT_DONE, "$1 is a contact now; nobody compared numbers yet: /verify" },
    [SAY_CHAT_ASKED] = { "asked", EXIT_DONE, "$1 was asked; what you write is sent once they accept" },
    [SAY_CHAT_ACCEPTED] = { "accepted", EXIT_DONE, "$1 is accepted; nobody compared numbers yet: /verify" },
    [SAY_CHAT_THEY_ACCEPTED] = { "accepted", EXIT_DONE, "$1 accepted" },
    [SAY_CHAT_REJECTED] = { "rejected", EXIT_DONE, "$1 is rejected and is not told" },
    [SAY_CHAT_BLOCKED] = { "blocked", EXIT_DONE, "$1 is blocked; to undo it: /unblock" },
    [SAY_CHAT_UNBLOCKED] = { "unblocked", EXIT_DONE, "$1 may write again" },
    [SAY_CHAT_RENAMED] = { "renamed", EXIT_DONE, "$1 is the name from now on, for you alone" },
    [SAY_CHAT_REMOVED] = { "removed", EXIT_DONE, "$1 is removed, with all that was written" },
    [SAY_CHAT_VERIFIED] = { "verified", EXIT_DONE, "$1 is verified" },
    [SAY_CHAT_REQUEST] = { "request", EXIT_DONE, "$1 wants to write to you: F2" },
    [SAY_CHAT_KEY_CHANGED] = { "key-changed", EXIT_TRUST,
                               "$1: the key has changed, or the relay lies. Nothing is sent until you decide: it stands above the conversation" },
    [SAY_CHAT_HISTORY_FORKED] = { "history-forked", EXIT_TRUST, "$1: two different histories came from one device. Compare numbers: /verify" },
    [SAY_CHAT_SESSION_RESET] = { "session-reset", EXIT_DONE,
                                 "$1: messages could not be opened, so a new session was begun; what is missing is marked" },
    [SAY_CHAT_QUARANTINED] = { "quarantined", EXIT_FAILED,
                               "$1 of what came could not be opened and is kept aside ($2). Ask the sender to send it again" },
    [SAY_CHAT_CLOCK] = { "clock", EXIT_FAILED, "this machine's clock is far off against the relay's. Set it" },
    [SAY_CHAT_NEW_DEVICE] = { "new-device", EXIT_DONE, "$1 has a new device; it gets what you send from now on" },
    [SAY_CHAT_TOO_SMALL] = { "too-small", EXIT_DONE,
                             "This window is too small for tacet: $1 columns and $2 rows at least. Make it larger; nothing is lost." },
    [SAY_CHAT_HOOK_FAILED] = { "exec", EXIT_FAILED, "the command of --exec ended with $1; the message is here all the same" },
    [SAY_CHAT_HOOK_BEHIND] = { "exec", EXIT_FAILED,
                               "the command of --exec is too slow: $1 messages passed it by. Let it do its work in the background (&)" },
    [SAY_CHAT_FILE_NONE] = { "no-such-file", EXIT_NOT_FOUND,
                             "there is no such file to $1 in this conversation; /save and /cancel take the newest, or its name" },
    [SAY_CHAT_FILE_SENDING] = { "sending", EXIT_DONE, "$1 goes to $2" },
    [SAY_CHAT_FILE_PATH] = { "no-such-file", EXIT_NOT_FOUND, "$1 cannot be sent ($2). Tab completes a path" },
    [SAY_CHAT_SAVING] = { "saving", EXIT_DONE, "$1 is being saved" },
    [SAY_CHAT_CANCELLED] = { "cancelled", EXIT_DONE, "$1 is cancelled" },
    [SAY_CHAT_NO_TERMINAL] = { "terminal", EXIT_FAILED,
                               "this terminal cannot show a full screen ($1). Set TERM rightly; for single messages: tacet send, tacet receive" },
    [SAY_CHAT_NO_UTF8] = { "terminal", EXIT_FAILED,
                           "this system has no UTF-8 locale, not even C.UTF-8. Install one; for single messages: tacet send, tacet receive" },
    [SAY_CHAT_QR_ROOM] = { "room", EXIT_DONE, "The code needs $1 columns and $2 rows: enlarge the window, or in a shell: $3" },
    [SAY_CHAT_LINK] = { "link", EXIT_DONE, "Your link. Give it to those who shall write to you:" },
    [SAY_CHAT_WELCOME] = { "welcome", EXIT_DONE,
                           "Nobody is here yet. Give your link to somebody (/link), or take theirs (/add LINK). Who asked for you: /requests. "
                           "Everything else: F1" },
    [SAY_CHAT_NO_REQUESTS] = { "requests", EXIT_DONE, "Nobody asks to write to you." },
    [SAY_CHAT_REQUESTS] = { "requests", EXIT_DONE, "Who they are, only they say: nothing here is checked. They are told nothing until you accept." },
    [SAY_CHAT_COMPARE] = { "compare", EXIT_DONE,
                           "Ask them, by voice or side by side, for these 60 digits. The same on both sides: press Y, nobody is in between. "
                           "Different: press Esc and send nothing, somebody may read along." },
    [SAY_CHAT_COMPARED] = { "compared", EXIT_DONE, "You compared these digits: verified ✓. To take that back: press U" },

    [SAY_FILE_NONE] = { "no-such-file", EXIT_NOT_FOUND, "there is no file $1 in any conversation. List them: tacet files" },
    [SAY_FILE_MISSING] = { "no-such-file", EXIT_NOT_FOUND, "there is no $1; nothing was sent. Check the path" },
    [SAY_FILE_KIND] = { "not-a-file", EXIT_FAILED, "$1 is neither a file nor a folder; nothing was sent. Check the path" },
    [SAY_FILE_LARGE] = { "too-large", EXIT_FAILED, "$1 is too large: a file has at most 252 GiB, a folder 65536 entries. Send it in parts" },
    [SAY_FILE_NAMES] = { "bad-names", EXIT_FAILED,
                         "$1 holds a path that is no UTF-8 or longer than 1024 bytes; nothing was sent. Pack it first: tar" },
    [SAY_FILE_OPEN] = { "unreadable", EXIT_FAILED, "$1 cannot be read ($2); nothing was sent. Check its permissions" },
    [SAY_FILE_RECEIVERS] = { "too-many", EXIT_USAGE, "one file goes to at most 64 contacts at a time; nothing was sent" },
    [SAY_FILE_STAGE] = { "stage", EXIT_USAGE, "content is handed over in parts of 64512 bytes, at most 16 MiB of it; nothing was sent" },
    [SAY_FILE_TARGET] = { "file-exists", EXIT_FAILED, "there is already $1; nothing was written. Choose another name, or remove it first" },
    [SAY_FILE_CHANGED] = { "source-changed", EXIT_FAILED,
                           "$1 changed while it was being sent; it was stopped, and nobody takes what went out for complete. Send it again" },
    [SAY_FILE_GONE] = { "source-gone", EXIT_FAILED,
                        "$1 was removed while it was being sent; it was stopped, and nobody takes what went out for complete. Send it again" },
    [SAY_FILE_UNREADABLE] = { "source-unreadable", EXIT_FAILED,
                              "$1 can no longer be read; sending it was stopped. Check the disk, then send it again" },
    [SAY_FILE_DISK_FULL] = { "disk-full", EXIT_FAILED, "no room on the disk for $1; it goes on by itself when there is. Free some space" },
    [SAY_FILE_UNWRITABLE] = { "target-unwritable", EXIT_FAILED,
                              "$1 cannot be written where it should go. Choose another folder: tacet save ID --to DIR" },
    [SAY_FILE_FOLDER] = { "no-folder", EXIT_FAILED, "the folder for $1 is not there or takes no files. Choose another one: tacet save ID --to DIR" },
    [SAY_FILE_PART] = { "part-changed", EXIT_FAILED,
                        "somebody touched the unfinished $1, so it cannot be trusted; it was given up. Ask for it again" },
    [SAY_FILE_QUOTA] = { "relay-quota", EXIT_QUOTA, "the relay has no room for $1 now; it is kept and goes on by itself when there is" },
    [SAY_FILE_REFUSED] = { "relay-refused", EXIT_FAILED, "the relay does not take $1. Send it again" },
    [SAY_FILE_NOT_THERE] = { "relay-gone", EXIT_FAILED, "the relay no longer has $1: it was withdrawn, or lay there too long. Ask for it again" },
    [SAY_FILE_DAMAGED] = { "chunks-damaged", EXIT_FAILED, "the relay keeps giving damaged pieces of $1; none was written. It is tried again later" },
    [SAY_FILE_ROOT] = { "wrong-root", EXIT_FAILED, "$1 is not what its sender sealed; it was given up, nothing was saved. Ask for it again" },
    [SAY_FILE_MANIFEST] = { "bad-manifest", EXIT_FAILED, "the folder $1 breaks the rules for folders; it was given up, nothing was saved" },
    [SAY_FILE_COMMITMENT] = { "wrong-commitment", EXIT_FAILED,
                              "the key of $1 is not the one that it commits to; it was given up, nothing was saved" },
    [SAY_FILE_WITHDRAWN] = { "withdrawn", EXIT_FAILED, "its sender withdrew $1; ask for it again if you want it" },
    [SAY_FILE_UNWANTED] = { "unwanted", EXIT_FAILED, "$1 was not wanted; ask before you send it again" },
    [SAY_FILE_EXPIRED] = { "expired", EXIT_FAILED, "$1 lay too long and was given up; send it again, or ask for it again" },
    [SAY_PATH_UTF8] = { "usage", EXIT_USAGE,
                        "that path holds a folder whose name is not UTF-8; nothing was done. Rename it, or choose another path" },
    [SAY_SAVE_STDOUT] = { "output", EXIT_FAILED, "$1 could not be written to stdout ($2); it is kept. Save it: tacet save ID --to DIR" },
    [SAY_SAVE_GONE] = { "no-such-file", EXIT_NOT_FOUND, "$1 was taken already, to $2, and is there no more. Ask for it again if you need it" },
    [SAY_SAVE_ELSEWHERE] = { "file-exists", EXIT_FAILED, "$1 was saved already: it is $2. Copy it from there" },
    [SAY_SEND_CANCELLED] = { "withdrawn", EXIT_FAILED, "$1 was cancelled before all of it was sent; nobody takes what went out for complete" },
    [SAY_SAVE_COPY] = { "output", EXIT_FAILED, "$1 could not be copied to where it is wanted ($2). Copy it from there, or choose another folder" },
};

/* Appends as much of `text` as fits; the end of a sentence may be cut, never the code. */
static size_t append(char *out, size_t room, size_t used, const char *text, size_t n)
{
    size_t fits = room - 1 - used < n ? room - 1 - used : n;
    memcpy(out + used, text, fits);
    return used + fits;
}

void sentence_fill(engine_error *out, sentence which, const char *one, const char *two, const char *three)
{
    assert(which < SAY_COUNT && table[which].code);
    const char *argument[] = { one, two, three };
    size_t used = 0;
    for (const char *p = table[which].text; *p; p++) {
        if (p[0] == '$' && p[1] >= '1' && p[1] <= '3') {
            const char *a = argument[p[1] - '1'];
            used = append(out->message, sizeof out->message, used, a ? a : "", a ? strlen(a) : 0);
            p++;
        } else {
            used = append(out->message, sizeof out->message, used, p, 1);
        }
    }
    out->message[used] = '\0';
    out->code = table[which].code;
    out->exit = table[which].exit;
}

const char *sentence_code(sentence which)
{
    assert(which < SAY_COUNT && table[which].code);
    return table[which].code;
}

sentence sentence_of_status(int status)
{
    static const struct {
        int status;
        sentence say;
    } row[] = {
        { TACET_E_NOMEM, SAY_NO_MEMORY },       { TACET_E_IO, SAY_IO },           { TACET_E_FULL, SAY_DISK_FULL },
        { TACET_E_CORRUPT, SAY_VAULT_DAMAGED }, { TACET_E_LOCKING, SAY_LOCKING }, { TACET_E_READONLY, SAY_READ_ONLY },
        { TACET_E_NEWER, SAY_VAULT_NEWER },     { TACET_E_BUSY, SAY_VAULT_BUSY }, { TACET_E_REFUSED, SAY_VAULT_UNSAFE },
        { TACET_E_PASSPHRASE, SAY_PASSPHRASE },
    };
    for (size_t i = 0; i < sizeof row / sizeof *row; i++)
        if (row[i].status == status)
            return row[i].say;
    return SAY_INTERNAL;
}
