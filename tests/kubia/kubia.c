/* kubia: the classic demonstration app, small enough for a test image.
 *
 *   kubia [--err400] [--boot SECONDS] [--drain SECONDS] [PORT]
 *
 * Answers every request on PORT (8080) with its host name. With --err400 the 7th to the 10th of every
 * ten requests are answered 400. --boot waits before it listens; after SIGTERM it goes on answering for
 * --drain seconds and ends with status 0. SIGUSR1 makes it sick: from then on every answer is 500.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static volatile sig_atomic_t sick, ending;

static void on_signal(int number) {
    if (number == SIGUSR1)
        sick = 1;
    else
        ending = 1;
}

static void catch_signals(void) {
    struct sigaction action = {.sa_handler = on_signal};
    sigaction(SIGUSR1, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGINT, &action, NULL);
    signal(SIGPIPE, SIG_IGN);
}

/* One socket for both families where there is IPv6, one for IPv4 where there is not. */
static int listen_on(int port) {
    struct sockaddr_in6 six = {.sin6_family = AF_INET6, .sin6_port = htons(port), .sin6_addr = in6addr_any};
    struct sockaddr_in four = {.sin_family = AF_INET, .sin_port = htons(port)};
    int on = 1, off = 0, listener = socket(AF_INET6, SOCK_STREAM, 0);
    struct sockaddr *address = (struct sockaddr *)&six;
    socklen_t size = sizeof six;
    if (listener < 0) {
        listener = socket(AF_INET, SOCK_STREAM, 0);
        address = (struct sockaddr *)&four;
        size = sizeof four;
    } else {
        setsockopt(listener, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
    }
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(listener, address, size) != 0 || listen(listener, 64) != 0) {
        perror("kubia: cannot listen");
        exit(1);
    }
    return listener;
}

static void answer(int client, int status, const char *body) {
    struct timeval patience = {.tv_sec = 1};
    char request[4096], reply[512];
    setsockopt(client, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    if (read(client, request, sizeof request) > 0) {
        int size = snprintf(reply, sizeof reply,
                            "HTTP/1.1 %d %s\r\nContent-Type: text/plain\r\nContent-Length: %zu\r\nConnection: close\r\n\r\n%s",
                            status, status == 200 ? "OK" : "Not Well", strlen(body), body);
        if (write(client, reply, size) != size)
            fprintf(stderr, "kubia: a client went away\n");
    }
    close(client);
}

static void serve_next(int listener, int err400) {
    static unsigned long requests;
    char name[65] = "", body[128];
    int client = accept(listener, NULL, NULL);
    if (client < 0)
        return;
    unsigned long turn = requests++ % 10;
    gethostname(name, sizeof name - 1);
    snprintf(body, sizeof body, "You've hit %s\n", name);
    if (sick)
        answer(client, 500, "I'm sick\n");
    else if (err400 && turn >= 6)
        answer(client, 400, "I'm not well\n");
    else
        answer(client, 200, body);
}

int main(int count, char **arguments) {
    int err400 = 0, boot = 0, drain = 0, port = 8080;
    for (int i = 1; i < count; i++) {
        if (!strcmp(arguments[i], "--err400"))
            err400 = 1;
        else if (!strcmp(arguments[i], "--boot") && i + 1 < count)
            boot = atoi(arguments[++i]);
        else if (!strcmp(arguments[i], "--drain") && i + 1 < count)
            drain = atoi(arguments[++i]);
        else
            port = atoi(arguments[i]);
    }
    catch_signals();
    for (time_t ready = time(NULL) + boot; !ending && time(NULL) < ready;)
        sleep(1);
    if (ending)
        return 0;
    int listener = listen_on(port);
    printf("kubia listens on port %d\n", port);
    fflush(stdout);
    for (time_t last = 0; !ending || last == 0 || time(NULL) < last;) {
        struct pollfd waiting = {.fd = listener, .events = POLLIN};
        if (ending && last == 0)
            last = time(NULL) + drain;
        if (poll(&waiting, 1, 200) > 0)
            serve_next(listener, err400);
    }
    return 0;
}
