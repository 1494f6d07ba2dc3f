/* The hostile partition's partner. ROLE in the environment, or the first message of the input
 * `role`, says what it does with calls:
 *
 *   echo     answers with the value it was given (the default)
 *   silent   never looks at its calls          deaf     takes one and never answers
 *   gone     stops at once                     stop     takes one and stops
 *   tamper   changes the shared memory first   restart  takes one and starts again
 *   late     answers long after                client   calls the hostile partition instead
 */
#include <hostile/IEcho.idl.h>
#include <hostile/INoise.idl.h>
#include <khs/khs.h>

enum { LATE_PERIODS = 30, PATIENCE_US = 100000 };

static void pass_time(uint32_t periods)
{
    while (periods--)
        khs_period_wait();
}

static bool receive(uint32_t *token, struct hostile_IEcho_Echo_req *request)
{
    struct khs_recv_info info;
    if (khs_recv(request, sizeof *request, &info, 0).code != KHS_CODE_OK)
        return false;
    *token = info.token;
    return true;
}

static void answer(uint32_t token, uint32_t value)
{
    struct hostile_IEcho_Echo_res m = { .header = hostile_IEcho_Echo_res_header, .value2 = value };
    khs_print("answers %u: %s\n", value, khs_code_name(khs_reply(token, &m, sizeof m).code));
}

static void serve(const char *role)
{
    struct hostile_IEcho_Echo_req request;
    uint32_t token;
    if (strcmp(role, "tamper") == 0)
        memset(khs_region("shared", NULL), 0xee, sizeof request);
    if (strcmp(role, "silent") == 0 || !receive(&token, &request))
        return;
    if (strcmp(role, "stop") == 0)
        khs_partition_mode_set(KHS_MODE_IDLE);
    if (strcmp(role, "restart") == 0)
        khs_partition_mode_set(KHS_MODE_COLD_START);
    if (strcmp(role, "late") == 0)
        pass_time(LATE_PERIODS);
    if (strcmp(role, "deaf") != 0)
        answer(token, request.value);
}

static void call(uint32_t port)
{
    struct hostile_IEcho_Echo_req m = { .header = hostile_IEcho_Echo_req_header, .value = 3 };
    union hostile_IEcho_Echo_reply reply;
    khs_result r = khs_call(port, &m, hostile_IEcho_Echo_req_size, &reply, sizeof reply, PATIENCE_US);
    khs_print("called: %s\n", khs_code_name(r.code));
}

/* One message for the hostile partition to receive. */
static void send(uint32_t port)
{
    struct hostile_INoise_Make_req m = { .header = hostile_INoise_Make_req_header, .value = 5 };
    khs_port_send(port, &m, hostile_INoise_Make_req_size);
}

static const char *choose(void)
{
    static char received[16];
    const char *given = khs_env("ROLE");
    if (given)
        return given;
    khs_input_receive(khs_input("role"), received, sizeof received - 1, PATIENCE_US);
    return received[0] ? received : "echo";
}

void main(void)
{
    const char *role = choose();
    uint32_t back = khs_port("back");
    if (strcmp(role, "gone") == 0)
        return;
    khs_ready();
    send(khs_port("answer"));
    for (;;) {
        pass_time(1);
        if (strcmp(role, "client") == 0)
            call(back);
        else
            serve(role);
    }
}
