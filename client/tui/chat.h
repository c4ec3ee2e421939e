/* tui/chat.h: what one full screen knows. Keys change it (keys.c, commands.c), news from the engine change it (news.c), drawing only reads it
 * (main_screen.c, screens.c). */
#ifndef TUI_CHAT_H
#define TUI_CHAT_H
#include "asks.h"
#include "conversations.h"
#include "editor.h"
#include "hook.h"
#include "transcript.h"
#include "tui/tui.h"

typedef enum { SCREEN_MAIN, SCREEN_HELP, SCREEN_VERIFY, SCREEN_REQUESTS, SCREEN_SEARCH, SCREEN_LINK, SCREENS } screen;

enum {
    PAGE_MESSAGES = 200,  /* loaded at a time */
    DRAFT_MS = 500,       /* after the last key */
    READ_MS = 300,        /* a conversation in which much comes in is marked as read at most so often */
    STATUS_MS = 3000,     /* how often the engine is asked whether the relay is there */
    HANDED_AT_ONCE = 400, /* shown messages are given up as handed over in portions of at most this */
    STATUS_ROOM = 700,
    HITS_MAX = 500,
};

typedef struct chat {
    caller *caller;
    const tacet_env *env;
    asks asks;
    bool color, over, dirty, bell;
    bool quit_asked; /* Ctrl-C on an empty line: the next one leaves */
    int exit;
    engine_error why;

    char *me, *relay, *link; /* NULL until known */
    bool online;
    long long queued;
    conversations list;
    bool list_known, list_stale;
    char *wanted; /* the conversation to begin with; NULL after it was looked for */

    transcript log;
    bool log_loading, log_stale;
    char *reveal; /* an id that a search found: marked, and to be brought into view */
    bool revealing;
    bool unseen; /* something came in below the view */
    hook hook;
    editor edit;
    json_t *handed;                        /* ids that were shown */
    uint64_t draft_at, read_at, status_at; /* UINT64_MAX: nothing is due */
    uint64_t paste_at;                     /* when a paste is over without its end mark; UINT64_MAX: nothing is being pasted */
    bool keys_left;                        /* more was typed than one turn takes */

    screen screen;
    size_t top, selected; /* of the other screens: first line shown, line chosen */
    bool unchosen;        /* who was chosen asks no more: nothing is chosen until the next move */
    json_t *requests, *hits;
    char *query;
    char *verify_name, *digits; /* the verification screen */
    bool verified;

    char status[STATUS_ROOM]; /* what is said at the lower edge; one line about what just happened, until the next key; "": none */
    bool status_bad;
} chat;

/* chat.c */
/* One of the table's sentences at the lower edge; what stands with an exit code there is an error. */
void chat_tell(chat *c, sentence which, const char *one, const char *two);
void chat_why(chat *c, const engine_error *why);
void chat_hint(chat *c, const char *words); /* what Tab could become */
/* Opens the conversation that is the current one of the list: its newest page, its draft. */
void chat_open(chat *c);
/* Puts away what belongs to the conversation that is about to be left: its draft, what was shown. */
void chat_leave(chat *c);
void chat_select(chat *c, const char *name);
void chat_show(chat *c, screen s);
void chat_older(chat *c);
void chat_newer(chat *c);
/* The view is at its lower end: what came in meanwhile is shown, and so read. */
void chat_at_end(chat *c);
bool chat_end_in_view(const chat *c);
void chat_reload(chat *c);
/* The line that was typed goes to the conversation. */
void chat_send(chat *c);
void chat_hand_over(chat *c);

/* news.c */
void news_begin(chat *c);
void news_event(chat *c, const json_t *event);
void news_contacts(chat *c);
void news_requests(chat *c);
void news_status(chat *c);
ask_done news_failed;  /* says the error if there is one; good for whoever needs no answer */
ask_done news_changed; /* the same, then asks for contacts and requests anew */
#endif
