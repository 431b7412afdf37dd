/* kubia: the classic demonstration app, small enough for a test image.
 *
 *   kubia [--err400] [--boot SECONDS|/FILE] [--drain SECONDS] [--respawn SECONDS] [PORT]
 *
 * Answers every request on PORT (8080) with its host name, and says when it listens. With --err400 the 7th to the
 * 10th of every ten requests are answered 400. --boot waits before it listens, for as many seconds as are given or
 * as the file says (none without the file). After SIGTERM it goes on answering for --drain seconds and ends with
 * status 0. SIGUSR1 makes it sick: from then on every answer is 500. SIGUSR2 is a crash.
 *
 * With --respawn it looks after itself: the server is a child, and whenever it has crashed another one follows after
 * so many seconds, so that the container never ends by itself. SIGUSR1 then makes every server crash after a second.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static volatile sig_atomic_t sick, ending;

static void on_signal(int number) {
    if (number == SIGUSR2)
        _exit(1);
    if (number == SIGUSR1)
        sick = 1;
    else
        ending = 1;
}

static void catch_signals(void) {
    struct sigaction action = {.sa_handler = on_signal};
    sigaction(SIGUSR1, &action, NULL);
    sigaction(SIGUSR2, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGINT, &action, NULL);
    signal(SIGPIPE, SIG_IGN);
}

static double now(clockid_t clock) {
    struct timespec time;
    clock_gettime(clock, &time);
    return time.tv_sec + time.tv_nsec / 1e9;
}

/* Waits to the moment, or until the end is asked for. */
static void pause_for(double seconds) {
    for (double end = now(CLOCK_MONOTONIC) + seconds; !ending && now(CLOCK_MONOTONIC) < end;)
        usleep(10000);
}

static double boot_time(const char *given) {
    char text[32] = "";
    if (given[0] != '/')
        return atof(given);
    FILE *file = fopen(given, "r");
    if (file == NULL)
        return 0;
    if (fgets(text, sizeof text, file) == NULL)
        fprintf(stderr, "kubia: %s is empty\n", given);
    fclose(file);
    return atof(text);
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

static void serve(int port, int err400, double drain, double life) {
    // The time before: whoever finds the port open from then on is not too early.
    double since = now(CLOCK_REALTIME);
    int listener = listen_on(port);
    printf("kubia listens on port %d since %.6f\n", port, since);
    fflush(stdout);
    double end = now(CLOCK_MONOTONIC) + life, last = 0;
    while (!ending || last == 0 || now(CLOCK_MONOTONIC) < last) {
        struct pollfd waiting = {.fd = listener, .events = POLLIN};
        if (ending && last == 0)
            last = now(CLOCK_MONOTONIC) + drain;
        if (life > 0 && now(CLOCK_MONOTONIC) > end)
            _exit(1);
        if (poll(&waiting, 1, 100) > 0)
            serve_next(listener, err400);
    }
}

/* Runs one server after the other, each a process of its own. */
static void respawn(double pause, int port, double drain) {
    while (!ending) {
        pid_t child = fork();
        if (child == 0) {
            int is_doomed = sick;
            sick = 0;
            serve(port, 0, drain, is_doomed ? 1 : 0);
            exit(0);
        }
        while (waitpid(child, NULL, 0) < 0 && errno == EINTR)
            if (ending || sick)
                kill(child, ending ? SIGTERM : SIGUSR2);
        pause_for(pause);
    }
}

int main(int count, char **arguments) {
    int err400 = 0, port = 8080, is_respawned = 0;
    double boot = 0, drain = 0, pause = 0;
    for (int i = 1; i < count; i++) {
        if (!strcmp(arguments[i], "--err400"))
            err400 = 1;
        else if (!strcmp(arguments[i], "--boot") && i + 1 < count)
            boot = boot_time(arguments[++i]);
        else if (!strcmp(arguments[i], "--drain") && i + 1 < count)
            drain = atof(arguments[++i]);
        else if (!strcmp(arguments[i], "--respawn") && i + 1 < count)
            pause = atof(arguments[++i]), is_respawned = 1;
        else
            port = atoi(arguments[i]);
    }
    catch_signals();
    pause_for(boot);
    if (ending)
        return 0;
    if (is_respawned)
        respawn(pause, port, drain);
    else
        serve(port, err400, drain, 0);
    return 0;
}
