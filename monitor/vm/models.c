#include "model.h"

/* A line a model: kss_model_<name>, in model_<name>.c. Its place is the model's number in
 * policy.bin (`number` of the model's ObjectCode), so new ones come last. */
#define MODELS(line) \
    line(flow)       \
    line(level)      \
    line(hashset)    \
    line(staticmap)  \
    line(mic)        \
    line(record)

#define DECLARE(name) extern const struct model kss_model_##name;
MODELS(DECLARE)

#define REFER(name) &kss_model_##name,
static const struct model *const models[] = {MODELS(REFER)};

const struct model *kss_find_model(uint32_t number) {
    return number < sizeof models / sizeof *models ? models[number] : NULL;
}
