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
    [SAY_RELAY_REFUSED] = { "refused", EXIT_FAILED, "the relay $1 refused it ($2); nothing was changed. Ask who runs it" },
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
    [SAY_CHAT_ASKER] = { "requests", EXIT_DONE, "$1  (calls itself $2, at $3)" },
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
    [SAY_FILE_RECEIVERS] = { "too-many", EXIT_USAGE,
                             "one file goes to at most 64 contacts at a time; nothing was sent. Send it to the others after that" },
    [SAY_FILE_STAGE] = { "stage", EXIT_USAGE,
                         "content is handed over in parts of 64512 bytes, at most 16 MiB of it; nothing was sent. Send what is larger by its path" },
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

    [SAY_WHY_CLOSED] = { "piece", EXIT_DONE, "it closed the connection" },
    [SAY_WHY_NOBODY] = { "piece", EXIT_DONE, "nobody answers there" },
    [SAY_WHY_NO_HOST] = { "piece", EXIT_DONE, "no such host" },
    [SAY_WHY_SILENT] = { "piece", EXIT_DONE, "no answer in time" },
    [SAY_WHY_CANNOT] = { "piece", EXIT_DONE, "this machine cannot connect" },
    [SAY_WHY_NOT_SOCKS] = { "piece", EXIT_DONE, "it does not speak SOCKS5" },
    [SAY_WHY_CREDENTIALS] = { "piece", EXIT_DONE, "it wants a user and a password" },
    [SAY_WHY_WOULD_NOT] = { "piece", EXIT_DONE, "it would not connect" },
    [SAY_WHY_FRAME] = { "piece", EXIT_DONE, "a frame or record that is not allowed" },
    [SAY_WHY_OTHER_ANSWER] = { "piece", EXIT_DONE, "another kind of answer than was asked for" },
    [SAY_WHY_NOT_YET] = { "piece", EXIT_DONE, "not yet connected" },
    [SAY_WHY_UNSAID] = { "piece", EXIT_DONE, "the host gave no reason" },
    [SAY_WHY_KEY_FILE] = { "piece", EXIT_DONE, "a key file that nothing opens" },
    [SAY_WHY_PASSPHRASE_COST] = { "piece", EXIT_DONE, "the cost of the passphrase" },
    [SAY_WHY_CODE_COST] = { "piece", EXIT_DONE, "the cost of the code" },
    [SAY_WHY_SIGNALS] = { "piece", EXIT_DONE, "its signals could not be caught" },
    [SAY_WHY_TERMINAL] = { "piece", EXIT_DONE, "it is unknown, or has no cursor" },
    [SAY_WHY_EMPTY] = { "piece", EXIT_DONE, "it is empty" },
    [SAY_WHY_NO_MEMORY] = { "piece", EXIT_DONE, "(not enough memory)" },

    [SAY_ASIDE_NOT_ALLOWED] = { "piece", EXIT_DONE, "not allowed from this sender" },
    [SAY_ASIDE_CONTENT] = { "piece", EXIT_DONE, "a content that cannot be" },
    [SAY_ASIDE_DEVICE] = { "piece", EXIT_DONE, "from a device that is no longer in its account's list" },
    [SAY_ASIDE_OTHER_LIST] = { "piece", EXIT_DONE, "another device list of the same version" },
    [SAY_ASIDE_STRANGE_LIST] = { "piece", EXIT_DONE, "a device list that does not belong to this contact" },
    [SAY_ASIDE_KEYS_GONE] = { "piece", EXIT_DONE, "made for keys that are gone" },
    [SAY_ASIDE_OUR_OWN] = { "piece", EXIT_DONE, "our own message, sent back" },
    [SAY_ASIDE_TOKEN] = { "piece", EXIT_DONE, "somebody else used this contact's token" },
    [SAY_ASIDE_RESTORED] = { "piece", EXIT_DONE, "from somebody whom the restored backup does not know; ask them to write to your new link" },
    [SAY_ASIDE_AGAIN] = { "piece", EXIT_DONE, "seen before or too old" },
    [SAY_ASIDE_AHEAD] = { "piece", EXIT_DONE, "too far ahead" },
    [SAY_ASIDE_CLOSED] = { "piece", EXIT_DONE, "does not open" },
    [SAY_ASIDE_REQUEST] = { "piece", EXIT_DONE, "a contact request that does not open" },
    [SAY_ASIDE_NO_ENVELOPE] = { "piece", EXIT_DONE, "not an envelope" },

    [SAY_NOTICE_FORKED] = { "notice", EXIT_DONE, "history forked" },
    [SAY_NOTICE_ANEW] = { "notice", EXIT_DONE, "conversation begins anew" },
    [SAY_BESIDE_WAITING] = { "piece", EXIT_DONE, "waits until they accept" },
    [SAY_BESIDE_HELD] = { "piece", EXIT_DONE, "held back: the key has changed" },
    [SAY_BESIDE_QUEUED] = { "piece", EXIT_DONE, "not sent yet" },
    [SAY_BESIDE_EXPIRED] = { "piece", EXIT_DONE, "never delivered" },
    [SAY_BESIDE_FAILED] = { "piece", EXIT_DONE, "not sent" },
    [SAY_BESIDE_TIME] = { "piece", EXIT_DONE, "the time is the sender's claim, and cannot be" },
    [SAY_BESIDE_TAKE] = { "piece", EXIT_DONE, "take it: tacet save $1" },
    [SAY_BESIDE_MISSING] = { "gap", EXIT_DONE, "$1 messages of $2 missing" },
    [SAY_BESIDE_MISSING_ONE] = { "gap", EXIT_DONE, "$1 message of $2 missing" },
    [SAY_TEXT_NEWER] = { "piece", EXIT_DONE, "(this needs a newer tacet)" },

    [SAY_STANDS_BLOCKED_WORD] = { "standing", EXIT_DONE, "blocked" },
    [SAY_STANDS_BLOCKED] = { "standing", EXIT_DONE, "$1 is blocked: nothing is sent to them, and nothing of theirs gets through." },
    [SAY_STANDS_BLOCKED_DO] = { "standing", EXIT_DONE, "To undo it: tacet unblock $1" },
    [SAY_STANDS_BLOCKED_CHAT] = { "standing", EXIT_DONE, "To undo it: /unblock" },
    [SAY_STANDS_CHANGED_WORD] = { "standing", EXIT_DONE, "key has changed" },
    [SAY_STANDS_CHANGED] = { "standing", EXIT_DONE,
                             "THE KEY HAS CHANGED: somebody with another key goes by the name $1 now. Nothing is sent until you decide." },
    [SAY_STANDS_CHANGED_DO] = { "standing", EXIT_DONE,
                                "Ask them on another way. If the new key is theirs: tacet trust $1. If the old one is: tacet verify $1" },
    [SAY_STANDS_CHANGED_CHAT] = { "standing", EXIT_DONE, "Ask them on another way. If the new key is theirs: /trust. If the old one is: /verify" },
    [SAY_STANDS_FORKED_WORD] = { "standing", EXIT_DONE, "two device lists" },
    [SAY_STANDS_FORKED] = { "standing", EXIT_DONE,
                            "TWO DEVICE LISTS of $1 were shown by the relay: somebody lies. Nothing is sent until you decide." },
    [SAY_STANDS_FORKED_DO] = { "standing", EXIT_DONE, "Compare numbers (tacet verify $1), then: tacet trust $1" },
    [SAY_STANDS_FORKED_CHAT] = { "standing", EXIT_DONE, "Compare numbers (/verify), then: /trust" },
    [SAY_STANDS_PENDING_WORD] = { "standing", EXIT_DONE, "asks to write to you" },
    [SAY_STANDS_PENDING] = { "standing", EXIT_DONE, "$1 asks to write to you. Who that is, only they say." },
    [SAY_STANDS_PENDING_DO] = { "standing", EXIT_DONE, "tacet accept $1, or tacet reject $1" },
    [SAY_STANDS_PENDING_CHAT] = { "standing", EXIT_DONE, "To decide: /requests" },
    [SAY_STANDS_REQUESTED_WORD] = { "standing", EXIT_DONE, "awaiting acceptance" },
    [SAY_STANDS_REQUESTED] = { "standing", EXIT_DONE,
                               "$1 was asked and has not answered yet: what you write waits here. Whose key it is, only the link or the relay "
                               "said." },
    [SAY_STANDS_VERIFIED_WORD] = { "standing", EXIT_DONE, "verified" },
    [SAY_STANDS_VERIFIED] = { "standing", EXIT_DONE, "$1 is verified: you compared safety numbers, so nobody is in between." },
    [SAY_STANDS_UNVERIFIED_WORD] = { "standing", EXIT_DONE, "not verified" },
    [SAY_STANDS_UNVERIFIED] = { "standing", EXIT_DONE,
                                "Messages to $1 can be read by one key only, but whose key that is, only the link or the relay said: not verified." },
    [SAY_STANDS_UNVERIFIED_DO] = { "standing", EXIT_DONE, "To find out: tacet verify $1" },
    [SAY_STANDS_UNVERIFIED_CHAT] = { "standing", EXIT_DONE, "To find out: /verify" },

    [SAY_LINE_NOT_JSON] = { "parse", EXIT_USAGE, "that line is not JSON. Send one object a line" },
    [SAY_LINE_NO_REQUEST] = { "request", EXIT_USAGE, "that is no JSON-RPC 2.0 request with named parameters; docs/RPC.md shows one" },
    [SAY_LINE_LONG] = { "request", EXIT_USAGE, "that line is longer than 256 KiB. Send what is long as a file (method send_file)" },
    [SAY_ANSWER_LONG] = { "too-large", EXIT_FAILED, "the answer is longer than 16 MiB. Ask for less at a time (limit)" },

    [SAY_ARG_SEE] = { "usage", EXIT_USAGE, "$1; see: tacet $2--help" },
    [SAY_ARG_OFTEN] = { "usage", EXIT_USAGE, "--$1 stands there too often" },
    [SAY_ARG_NUMBER] = { "usage", EXIT_USAGE, "--$1 takes a number from $2 to $3" },
    [SAY_ARG_TIME] = { "usage", EXIT_USAGE, "--$1 takes a time like 90s, 15m, 12h or 7d" },
    [SAY_ARG_CHOICE] = { "usage", EXIT_USAGE, "--$1 takes one of $2" },
    [SAY_ARG_DASH] = { "usage", EXIT_USAGE, "there is no option $1: options begin with two dashes; text that begins with a dash comes after --" },
    [SAY_ARG_OPTION] = { "usage", EXIT_USAGE, "there is no option --$1" },
    [SAY_ARG_TWICE] = { "usage", EXIT_USAGE, "--$1 stands there twice" },
    [SAY_ARG_NO_VALUE] = { "usage", EXIT_USAGE, "--$1 takes no value" },
    [SAY_ARG_VALUE] = { "usage", EXIT_USAGE, "--$1 needs a value: --$1 $2" },
    [SAY_ARG_COMMAND] = { "usage", EXIT_USAGE, "there is no command \"$1\"" },
    [SAY_ARG_NONE] = { "usage", EXIT_USAGE, "a command is missing" },
    [SAY_ARG_WORDS] = { "usage", EXIT_USAGE, "$1 takes only $2; text of several words goes in quotes" },
    [SAY_ARG_NO_WORDS] = { "usage", EXIT_USAGE, "$1 takes nothing but options" },
    [SAY_ARG_NOT_TAKEN] = { "usage", EXIT_USAGE, "$1 does not take --$2" },
    [SAY_ARG_NEEDS_OPTION] = { "usage", EXIT_USAGE, "$1 needs --$2 $3" },
    [SAY_ARG_NEEDS] = { "usage", EXIT_USAGE, "$1 needs $2" },
    [SAY_ARG_EITHER] = { "usage", EXIT_USAGE, "--$1 and --$2 exclude each other" },
    [SAY_ARG_UTF8] = { "usage", EXIT_USAGE, "the command line is not UTF-8. Other text goes in through a file or stdin" },
    [SAY_ARG_JSON_CHAT] = { "usage", EXIT_USAGE, "chat is for eyes and has no --json. For programs: tacet rpc, or tacet receive --json" },
    [SAY_ARG_TERMINAL] = { "no-terminal", EXIT_USAGE, "chat needs a terminal on stdin and stdout. Without one: tacet send, tacet receive" },
    [SAY_ARG_LINK] = { "usage", EXIT_USAGE, "there was no link on stdin. See: tacet add --help" },
    [SAY_ARG_TO_OUTPUT] = { "usage", EXIT_USAGE, "--to and --output say two different things. Give one of them" },
    [SAY_ARG_PATH] = { "usage", EXIT_USAGE, "the path $1 is too long. Choose a shorter one" },
    [SAY_ARG_NO_CODE] = { "usage", EXIT_USAGE, "a vault without a passphrase has no recovery code. See: tacet passphrase --help" },
    [SAY_ARG_NEW_PASSPHRASE] = { "usage", EXIT_USAGE,
                                 "--no-passphrase, --new-passphrase-file and --new-passphrase-fd exclude each other. See: tacet passphrase --help" },
    [SAY_ARG_NO_PASSPHRASE] = { "usage", EXIT_USAGE, "--no-passphrase and a passphrase exclude each other. See: tacet $1 --help" },
    [SAY_ARG_ALSO] = { "usage", EXIT_USAGE, "--also goes with --file; a text goes to one contact at a time. See: tacet send --help" },
    [SAY_ARG_STDIN_NAME] = { "usage", EXIT_USAGE, "what comes from stdin needs a name. Give one: --file - --name NAME" },
    [SAY_ARG_SOCKET] = { "usage", EXIT_USAGE, "the path of a socket has at most $1 bytes. Choose a shorter one" },

    [SAY_ASK] = { "ask", EXIT_DONE, "Passphrase: " },
    [SAY_ASK_NEW] = { "ask", EXIT_DONE, "New passphrase: " },
    [SAY_ASK_AGAIN] = { "ask", EXIT_DONE, "The same again: " },
    [SAY_ASK_OLD] = { "ask", EXIT_DONE, "Old passphrase, or recovery code: " },
    [SAY_ASK_THERE] = { "ask", EXIT_DONE, "Passphrase of the vault that is there already: " },
    [SAY_ASK_BACKUP_NEW] = { "ask", EXIT_DONE, "Passphrase for the backup: " },
    [SAY_ASK_BACKUP] = { "ask", EXIT_DONE, "Passphrase of the backup: " },

    [SAY_UNPROTECTED] = { "unprotected", EXIT_FAILED,
                          "the process could not be protected from others; nothing was done. Let it call prctl and setrlimit: a sandbox forbids it" },
    [SAY_OUTPUT] = { "output", EXIT_FAILED, "the answer could not be written ($1). Check where stdout goes" },
    [SAY_QR] = { "qr", EXIT_FAILED, "the QR code could not be drawn: not enough memory. Close other programs and try again" },
    [SAY_NO_RELAY] = { "relay-unreachable", EXIT_UNREACHABLE,
                       "no connection to the relay of this profile. Check the network; it goes on at the next try" },
    [SAY_UNTOLD] = { "untold", EXIT_DONE, "$1, but the relay does not know yet: $2" },
    [SAY_MADE] = { "made", EXIT_DONE, "the account $1 is made. Give this link to those who shall write to you:" },
    [SAY_INVITE_UNREADABLE] = { "io", EXIT_FAILED, "no invitation could be read from $1 ($2). Check the file" },
    [SAY_RECOVERY_CODE] = { "recovery", EXIT_DONE, "recovery code: $1" },
    [SAY_RECOVERY_KEEP] = { "recovery", EXIT_DONE,
                            "Write it down and keep it away from this machine: it opens the vault when the passphrase is forgotten (tacet "
                            "passphrase), and is not shown again." },
    [SAY_NEVER_LOCKED] = { "lock", EXIT_DONE, "this vault has no passphrase: it is never locked" },
    [SAY_NO_LOCK] = { "lock", EXIT_DONE, "this vault has no passphrase: whoever can read its files can open it. Set one: tacet passphrase" },
    [SAY_PASSPHRASE_NONE] = { "passphrase", EXIT_DONE, "the vault has no passphrase any more" },
    [SAY_PASSPHRASE_SET] = { "passphrase", EXIT_DONE, "the new passphrase is set" },
    [SAY_BACKUP_MADE] = { "backup", EXIT_DONE, "$1 contacts and $2 messages are in the backup ($3). Keep its passphrase: nothing else opens it" },
    [SAY_RESTORED] = { "restored", EXIT_DONE,
                       "$1 is here again, as a new device: $2 contacts, $3 messages. The old profile, if it still runs anywhere, is told that it was "
                       "replaced" },
    [SAY_NOBODY_YET] = { "contacts", EXIT_DONE, "nobody yet. Give others your link (tacet link), or add theirs (tacet add LINK)" },
    [SAY_IS_CONTACT] = { "added", EXIT_DONE, "$1 is a contact now" },
    [SAY_WAS_ASKED] = { "asked", EXIT_DONE, "$1 was asked" },
    [SAY_WAS_RENAMED] = { "renamed", EXIT_DONE, "$1 is the name from now on" },
    [SAY_WAS_REMOVED] = { "removed", EXIT_DONE, "$1 is removed, with everything that was written" },
    [SAY_WAS_BLOCKED] = { "blocked", EXIT_DONE, "$1 is blocked: nothing gets through any more" },
    [SAY_WAS_UNBLOCKED] = { "unblocked", EXIT_DONE, "$1 may write again" },
    [SAY_WAS_TRUSTED] = { "trusted", EXIT_DONE, "$1 is trusted with the new key" },
    [SAY_WAS_UNTRUSTED] = { "untrusted", EXIT_DONE, "$1: what was decided about this key is taken back" },
    [SAY_WAS_REJECTED] = { "rejected", EXIT_DONE, "$1 was rejected, without being told" },
    [SAY_NO_REQUESTS] = { "requests", EXIT_DONE, "no requests" },
    [SAY_VERIFIED] = { "verified", EXIT_DONE,
                       "$1 is verified: you compared these digits, so nobody is in between. To take that back: tacet untrust $1" },
    [SAY_UNVERIFIED] = { "verify", EXIT_DONE,
                         "not verified yet. Let $1 read out their digits (tacet verify there), by voice or side by side. The same: tacet verify $1 "
                         "--confirm 'THE DIGITS'. Different: somebody is in between; send nothing" },
    [SAY_PINGS] = { "ping", EXIT_DONE, "min $1, median $2, max $3 ms" },
    [SAY_TYPE_TEXT] = { "send", EXIT_DONE, "write the message; Ctrl-D on a line of its own sends it" },
    [SAY_IN_OUTBOX] = { "send", EXIT_DONE, "the message is in the outbox: $1" },
    [SAY_AT_RELAY] = { "send", EXIT_DONE, "the relay has the message: $1" },
    [SAY_WAITS_KEY] = { "send", EXIT_DONE,
                        "the message waits: $1's key has changed. Compare safety numbers (tacet verify $1), then: tacet trust $1" },
    [SAY_WAITS_ACCEPT] = { "send", EXIT_DONE, "the message waits until $1 accepts" },
    [SAY_WAITS] = { "send", EXIT_DONE, "the message waits in the outbox until it can be sent to $1" },
    [SAY_NOTHING_WAITS] = { "outbox", EXIT_DONE, "nothing waits" },
    [SAY_STDIN_UNREADABLE] = { "io", EXIT_FAILED, "stdin could not be read ($1); nothing was sent. Check where it comes from" },
    [SAY_STDIN_LARGE] = { "too-large", EXIT_FAILED, "stdin holds more than 16 MiB; nothing was sent. Put it into a file first" },
    [SAY_PATH_MISSING] = { "no-such-file", EXIT_NOT_FOUND, "$1 cannot be sent ($2). Check the path" },
    [SAY_PATH_UNREADABLE] = { "unreadable", EXIT_FAILED, "$1 cannot be sent ($2). Check the path" },
    [SAY_FILES_MEMORY] = { "no-memory", EXIT_FAILED, "not enough memory; what was handed over is in the outbox. See: tacet outbox" },
    [SAY_FILE_SKIPPED] = { "send", EXIT_DONE, "$1: $2 links and special files in it are not sent" },
    [SAY_FILE_WAITS] = { "send", EXIT_DONE, "$1 waits until $2 accepts, or until you decide about their key" },
    [SAY_FILE_ARRIVED] = { "send", EXIT_DONE, "$1: $2 has it" },
    [SAY_FILE_STORED] = { "send", EXIT_DONE, "$1: the relay has it for $2" },
    [SAY_FILE_NOT_SAVED] = { "failed", EXIT_FAILED, "$1: $2 ($3). See: tacet files" },
    [SAY_NO_FOLDER] = { "no-such-folder", EXIT_NOT_FOUND, "there is no folder $1 ($2). Make it, or choose another" },
    [SAY_POUR] = { "output", EXIT_FAILED, "$1 could not be written to stdout ($2). Check where stdout goes" },
    [SAY_NEWS_REQUEST] = { "request", EXIT_DONE, "$1 wants to write to you. See: tacet requests" },
    [SAY_NEWS_GAP] = { "gap", EXIT_DONE, "messages of $1 are missing: $2" },
    [SAY_NEWS_KEY] = { "key-changed", EXIT_DONE, "the key of $1 has changed. Compare safety numbers (tacet verify $1), then: tacet trust $1" },
    [SAY_NEWS_FORK] = { "list-fork", EXIT_DONE,
                        "the relay showed two different device lists of $1. Somebody lies: compare safety numbers (tacet verify $1)" },
    [SAY_NEWS_DEVICE] = { "new-device", EXIT_DONE, "$1 uses a new device, number $2, signed with the known key" },
    [SAY_NEWS_RESET] = { "session-reset", EXIT_DONE, "the session with $1 began anew; something before it may not have been readable" },
    [SAY_NEWS_ASIDE] = { "quarantined", EXIT_DONE, "could not be opened ($1): $2" },
    [SAY_NEWS_CLOCK] = { "clock", EXIT_DONE, "this $1 differs from the relay's by $2 seconds. Set it right (timedatectl)" },
    [SAY_NEWS_ERROR] = { "error", EXIT_DONE, "$1" },
    [SAY_CONNECTED] = { "connection", EXIT_DONE, "connected to the relay" },
    [SAY_FOLLOWING] = { "connection", EXIT_DONE, "connected to the relay; Ctrl-C ends this" },
    [SAY_DISCONNECTED] = { "connection", EXIT_DONE, "no connection to the relay; trying again by itself" },
    [SAY_EXEC_SLOW] = { "exec", EXIT_DONE, "the command did not end in time for message $1; it comes again" },
    [SAY_EXEC_ENDED] = { "exec", EXIT_DONE, "the command ended with $2 for message $1; it comes again" },
    [SAY_EXEC_REFUSED] = { "command-failed", EXIT_FAILED, "the command refused messages; they come again. Mend it, then: tacet receive" },
    [SAY_RECEIVE_TIMEOUT] = { "timeout", EXIT_TIMEOUT, "the relay did not finish in $1 s; what it still holds stays there. Try again" },
    [SAY_NO_HOST] = { "io", EXIT_FAILED, "no connection to the tacet that holds this profile ($1). Start again" },
    [SAY_SOCKET] = { "io", EXIT_FAILED, "no socket at $1 ($2). Choose another path" },

    [SAY_FINE_CLOSED] = { "fine", EXIT_DONE, "nobody else can read or change it" },
    [SAY_FINE_SPACE] = { "fine", EXIT_DONE, "$1 MiB are free where the vault lies" },
    [SAY_BAD_SPACE] = { "space", EXIT_FAILED, "$1 MiB are free where the vault lies, and it may need $2. Free some space" },
    [SAY_FINE_MEMORY] = { "fine", EXIT_DONE, "keys can be kept out of swap" },
    [SAY_FINE_GUARDED] = { "fine", EXIT_DONE, "guarded by a passphrase" },
    [SAY_FINE_PLAIN] = { "fine", EXIT_DONE, "without a passphrase: whoever can read it can open the vault (tacet passphrase sets one)" },
    [SAY_FINE_KEYRING] = { "fine", EXIT_DONE, "takes keys and gives them back" },
    [SAY_FINE_VAULT] = { "fine", EXIT_DONE, "opens, and every page is sound" },
    [SAY_FINE_VAULT_OPEN] = { "fine", EXIT_DONE, "opened by another tacet that runs on this profile, and every page is sound" },
    [SAY_FINE_RELAY] = { "fine", EXIT_DONE, "answers, and is the one with the key in its address" },
    [SAY_FINE_CLOCK] = { "fine", EXIT_DONE, "agrees with the relay's to the hour" },
    [SAY_BAD_CLOCK] = { "clock", EXIT_FAILED, "differs from the relay's by about $1 hours. Set it right (timedatectl)" },
    [SAY_FINE_MESSAGES] = { "fine", EXIT_DONE, "$1 in the outbox, $2 that could not be opened" },
    [SAY_UNHEALTHY] = { "unhealthy", EXIT_FAILED, "something is not as it should be; the lines with BAD say what to do" },

    [SAY_HINT_MAIN] = { "hint", EXIT_DONE, "F1 help · /search · /file · /verify · PgUp history · Ctrl-N next · /quit" },
    [SAY_HINT_HELP] = { "hint", EXIT_DONE, "Esc back · PgUp PgDn" },
    [SAY_HINT_VERIFY] = { "hint", EXIT_DONE, "Y they are the same · U take it back · Esc back" },
    [SAY_HINT_REQUESTS] = { "hint", EXIT_DONE, "A accept · R reject · B block · Up Down · Esc back" },
    [SAY_HINT_SEARCH] = { "hint", EXIT_DONE, "Enter open there · Up Down · PgUp PgDn · Esc back" },
    [SAY_HINT_LINK] = { "hint", EXIT_DONE, "Esc back" },
    [SAY_HINT_BELOW] = { "hint", EXIT_DONE, "$1 lines below: PgDn, Esc" },
    [SAY_HINT_MORE_BELOW] = { "hint", EXIT_DONE, "more below: PgDn, Esc" },
    [SAY_HINT_BEGIN_VERIFIED] = { "hint", EXIT_DONE, "── the beginning; you compared numbers: verified ──" },
    [SAY_HINT_BEGIN] = { "hint", EXIT_DONE, "── the beginning; not verified yet: /verify ──" },
    [SAY_MARK_VERIFIED] = { "mark", EXIT_DONE, "you compared safety numbers: verified" },
    [SAY_MARK_CHANGED] = { "mark", EXIT_DONE, "the key has changed: nothing is sent until you decide" },
    [SAY_MARK_BLOCKED] = { "mark", EXIT_DONE, "blocked" },
    [SAY_MARK_WAY] = { "mark", EXIT_DONE, "not sent, at the relay, on their device, read" },
    [SAY_MARK_WAITS] = { "mark", EXIT_DONE, "until they accept; until you decide about the key" },
    [SAY_MARK_LOST] = { "mark", EXIT_DONE, "it was never delivered: send it again" },
    [SAY_MARK_TIME] = { "mark", EXIT_DONE, "the sender's claim, and cannot be" },
    [SAY_MARK_FILE] = { "mark", EXIT_DONE, "a file" },
    [SAY_MARK_MISSING] = { "mark", EXIT_DONE, "the relay lost or kept them: ask for them" },
    [SAY_MARK_OFFERED] = { "mark", EXIT_DONE, "offered; to take it: /save" },
    [SAY_MARK_OFFERING] = { "mark", EXIT_DONE, "offered; it waits for the relay" },
    [SAY_MARK_COMPLETE] = { "mark", EXIT_DONE, "complete" },
    [SAY_MARK_STORED] = { "mark", EXIT_DONE, "✓ at the relay" },
    [SAY_MARK_ARRIVED] = { "mark", EXIT_DONE, "✓✓ arrived" },
    [SAY_MARK_CANCELLED] = { "mark", EXIT_DONE, "cancelled" },
    [SAY_MARK_EXPIRED] = { "mark", EXIT_DONE, "nobody fetched it in time; to try again: /file" },
    [SAY_MARK_SAVE_FAILED] = { "mark", EXIT_DONE, "it failed; to try again: /save" },
    [SAY_MARK_SEND_FAILED] = { "mark", EXIT_DONE, "it failed; to try again: /file" },
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

const char *sentence_text(sentence which)
{
    assert(which < SAY_COUNT && table[which].code);
    return table[which].text;
}

void sentence_repeat(engine_error *out, const char *code, int exit, const char *message)
{
    size_t used = append(out->message, sizeof out->message, 0, message, strlen(message));
    out->message[used] = '\0';
    out->exit = exit > EXIT_DONE && exit <= EXIT_TIMEOUT ? exit : EXIT_FAILED;
    out->code = "failed";
    for (int i = 0; code && i < SAY_COUNT; i++)
        if (strcmp(table[i].code, code) == 0)
            out->code = table[i].code;
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
