/* Listens on the port that it is given, and says which library it has to whoever asks. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#ifdef WITH_LIBRARY
const char *sea_version(void);
#else
static const char *sea_version(void) { return "no library\n"; }
#endif

static int number(const char *text) {
    int value = 0;
    if (!*text) return -1;
    for (; *text; text++) {
        if (*text < '0' || *text > '9' || value > 6553) return -1;
        value = value * 10 + (*text - '0');
    }
    return value;
}

int main(int count, char **words) {
    int port = count == 2 ? number(words[1]) : -1;
    if (port <= 0) return 1;
    int door = socket(AF_INET, SOCK_STREAM, 0), yes = 1;
    struct sockaddr_in place;
    memset(&place, 0, sizeof place);
    place.sin_family = AF_INET;
    place.sin_port = htons((unsigned short)port);
    setsockopt(door, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    if (door < 0 || bind(door, (struct sockaddr *)&place, sizeof place) || listen(door, 16)) return 1;
    for (;;) {
        int guest = accept(door, 0, 0);
        if (guest < 0) continue;
        const char *text = sea_version();
        if (write(guest, text, strlen(text)) < 0) { /* It has gone already. */
        }
        close(guest);
    }
}
