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
const struct model *const kss_models[] = {MODELS(REFER)};

const uint32_t kss_model_count = sizeof kss_models / sizeof *kss_models;
