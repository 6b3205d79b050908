/* SPDX-License-Identifier: Apache-2.0 */
/* The Vulkan backend from inside. A program is recorded once into command buffers ("chunks"); a run submits them in
 * groups that take about as long as the options say, and looks for a pause between. */
#ifndef QVF_PLUGINS_VULKAN_VULKAN_H
#define QVF_PLUGINS_VULKAN_VULKAN_H

#include <pthread.h>
#include <stdatomic.h>

#include "plugins/vulkan/emit.h"
#include "plugins/vulkan/memory.h"
#include "plugins/vulkan/pipeline.h"

struct qvf_buffer {
        struct qvf_device *device;
        VkBuffer buffer;
        struct vk_memory memory;
        uint64_t bytes;
        uint64_t whole; /* bytes with what was added for alignment */
        bool imported;
};

struct vk_profile; /* profile.c */
struct vk_staging; /* transfer.c */
struct vk_runner;  /* run.c */

struct qvf_device {
        struct qvf_host host;
        VkInstance instance;
        VkPhysicalDevice physical;
        VkDevice device;
        VkQueue queue;
        VkCommandPool commands;
        uint32_t queue_family;
        VkPhysicalDeviceMemoryProperties memory;
        struct vk_features features;
        struct vk_limits limits;
        uint64_t import_alignment; /* 0: no import of host memory */
        uint32_t submission_ms;
        int cache_folder; /* 0: none */
        struct vk_tuning tuning;
        uint32_t walk_held;      /* workgroups of walk.comp that run side by side; 0: they don't */
        uint32_t walk_groups;    /* how many are used; 0: it is not to be used */
        bool sets_subgroup_size; /* each pipeline asks for features.subgroup_size */
        PFN_vkGetMemoryHostPointerPropertiesEXT host_pointer_properties;
        PFN_vkGetBufferDeviceAddressKHR buffer_address; /* NULL: buffers have none */
        PFN_vkGetDeviceFaultInfoEXT fault_info;         /* NULL: the driver has no such thing */
        struct vk_block *blocks;
        struct vk_pipelines *pipelines;
        struct vk_staging *staging;
        struct vk_runner *runner;
        pthread_mutex_t queue_mutex; /* around vkQueueSubmit() */
        bool settled;                /* it was lost, and has come to rest */
        atomic_int lost;             /* 0, or the enum qvf_run_state that every call gives from now on */
        uint64_t chunk_cost;         /* of a command buffer at most, if it holds more than one dispatch */
        double cost_per_ms;          /* measured: how much of vk_dispatch.cost a millisecond does */
};

void vk_log(const struct qvf_host *host, int level, const char *format, ...)
                __attribute__((format(printf, 3, 4)));
/* A negative errno for a VkResult; the device remembers that it is lost. */
int vk_errno(struct qvf_device *device, VkResult result, const char *what);

/* fault.c */
void vk_fault_log(struct qvf_device *device);

/* instance.c */
#define VK_DEVICES_MOST 16u
int vk_instance_new(const struct qvf_host *host, VkInstance *ret_instance);
/* The devices that have a compute queue, the best first. */
uint32_t vk_devices(VkInstance instance, VkPhysicalDevice devices[VK_DEVICES_MOST]);
bool vk_has_extension(VkPhysicalDevice physical, const char *name);
void vk_describe(VkPhysicalDevice physical, struct qvf_device_info *ret_info);
int vk_probe(const struct qvf_host *host, struct qvf_device_info *infos, uint32_t capacity,
                uint32_t *ret_count);

/* limits.c */
void vk_limits_read(VkPhysicalDevice physical, struct vk_limits *ret_limits);
/* As QVF_VK_LIMITS and QVF_VK_RANGE say, for tests: the limits of another device. */
void vk_limits_cut(const struct qvf_host *host, struct vk_limits *limits, struct vk_features *features);

/* device.c */
int vk_device_open(const struct qvf_host *host, uint32_t index, const struct qvf_device_options *options,
                struct qvf_device **ret_device);
void vk_device_close(struct qvf_device *device);
/* Before anything of a device that may be lost is given back. */
void vk_device_settle(struct qvf_device *device);
/* What stands on a device that does not answer is left there: it may be at work with it, and the process ends soon. */
bool vk_device_hangs(const struct qvf_device *device);
int vk_device_event_fd(struct qvf_device *device);

/* features.c: what the device has of all that the shaders may use, ready for vkCreateDevice() */
#define VK_EXTENSIONS_MOST 16u
struct vk_features_wanted {
        struct vk_features features;
        VkPhysicalDeviceFeatures2 chain; /* pNext leads into the members below */
        VkPhysicalDevice16BitStorageFeatures storage16;
        VkPhysicalDevice8BitStorageFeatures storage8;
        VkPhysicalDeviceShaderFloat16Int8Features arithmetic;
        VkPhysicalDeviceShaderIntegerDotProductFeatures dot_product;
        VkPhysicalDeviceSubgroupSizeControlFeatures size_control;
        VkPhysicalDeviceVulkanMemoryModelFeatures memory_model;
        VkPhysicalDeviceBufferDeviceAddressFeatures address;
        VkPhysicalDeviceFaultFeaturesEXT fault;
        struct { /* VkPhysicalDeviceCooperativeMatrixFeaturesKHR, which older headers lack */
                VkStructureType type;
                void *next;
                VkBool32 matrix, robust_access;
        } matrix;
        bool host_import, sets_subgroup_size;
        const char *extensions[VK_EXTENSIONS_MOST];
        uint32_t n_extensions;
};
void vk_features_probe(VkInstance instance, VkPhysicalDevice physical, struct vk_features_wanted *wanted);

/* fma.c: sets features.fused */
int vk_fma_probe(struct qvf_device *device);

/* buffer.c */
int vk_buffer_new(struct qvf_device *device, uint64_t bytes, uint32_t use, struct qvf_buffer **ret_buffer);
int vk_buffer_import(struct qvf_device *device, const void *memory, uint64_t bytes,
                struct qvf_buffer **ret_buffer);
void vk_buffer_free(struct qvf_buffer *buffer);
int vk_buffer_upload(struct qvf_buffer *buffer, uint64_t offset, const void *bytes, uint64_t length);
int vk_buffer_download(struct qvf_buffer *buffer, uint64_t offset, void *bytes, uint64_t length);
void *vk_buffer_map(struct qvf_buffer *buffer);
/* A small buffer that the host and the device see; for_reading: by the host. */
int vk_buffer_new_shared(
                struct qvf_device *device, uint64_t bytes, bool for_reading, struct qvf_buffer **ret_buffer);

/* Submits with the fence, under the mutex. */
int vk_queue_submit(
                struct qvf_device *device, const VkCommandBuffer *commands, uint32_t count, VkFence fence);

/* transfer.c: copies through a staging buffer, on the queue, waited for */
int vk_staging_new(struct qvf_device *device, struct vk_staging **ret_staging);
void vk_staging_free(struct vk_staging *staging);
/* Commands of others between these two; all of them are done when vk_staging_end() returns 0. What shaders leave in the
 * staging buffer can be read then. */
int vk_staging_begin(struct qvf_device *device, VkCommandBuffer *ret_commands);
int vk_staging_end(struct qvf_device *device);
const struct qvf_buffer *vk_staging_buffer(const struct vk_staging *staging);
int vk_transfer_fill(struct qvf_buffer *buffer);
int vk_transfer_to(struct qvf_buffer *buffer, uint64_t offset, const void *bytes, uint64_t length);
int vk_transfer_from(struct qvf_buffer *buffer, uint64_t offset, void *bytes, uint64_t length);

/* pipeline_cache.c: what the driver compiled, kept in the folder that the host named */
int vk_pipeline_cache_load(struct qvf_device *device, VkPipelineCache *ret_cache);
void vk_pipeline_cache_store(struct qvf_device *device, VkPipelineCache cache);

/* tuned.c: which of the ways that tuning.h names hold for this device */
void vk_tuned_load(struct qvf_device *device, const char *text);
/* After device->tuning was changed. */
void vk_tuned_apply(struct qvf_device *device);

/* tune.c */
int vk_tune(struct qvf_device *device, const struct qvf_tuning_options *options,
                char ret_text[QVF_TUNING_BYTES]);

/* program.c */
#define VK_SCRATCH_SLOTS 4u
struct vk_chunk {
        VkCommandBuffer commands;
        uint64_t cost;
};

struct qvf_program {
        struct qvf_device *device;
        char name[32];
        struct qvf_program_limits limits;
        VkDescriptorPool sets;
        struct qvf_buffer *args;
        struct qvf_buffer *scratch[VK_SCRATCH_SLOTS];
        struct vk_chunk *chunks;
        uint32_t n_chunks, chunks_made;
        struct vk_profile *profile; /* NULL: nobody asked */
        struct vk_walk_buffers {    /* walk.h; NULL: nothing walks */
                struct qvf_buffer *steps, *exchange, *status;
        } walk;
        struct vk_source *source; /* stand.h; NULL: nothing walks */

        /* The run: guarded by the runner's mutex. */
        int state; /* enum qvf_run_state; VK_NEVER_RAN, VK_WALKED_IN_VAIN */
        bool untold, pause_wanted;
        double begun_ms;    /* of this run, or of what followed a pause */
        double usual_ms;    /* from submission to end, lately; 0: never ran */
        uint32_t next;      /* the first chunk that was not submitted */
        uint32_t in_flight; /* submissions */
        struct vk_flight {  /* the oldest first */
                VkFence fence;
                uint64_t cost;
                double begun_ms;
        } flight[2];
};

#define VK_NEVER_RAN (-1)
#define VK_WALKED_IN_VAIN (-2) /* until wait() lets it begin anew */

int vk_program_size(struct qvf_device *device, const struct qvf_program_desc *desc, uint64_t *ret_bytes);
/* What its dispatches would be, without making it. */
struct vk_trace {
        uint64_t hash, cost, dearest; /* of all of them; the dearest one's cost */
};
int vk_program_trace(
                struct qvf_device *device, const struct qvf_program_desc *desc, struct vk_trace *ret_trace);
int vk_program_new(struct qvf_device *device, const struct qvf_program_desc *desc,
                struct qvf_program **ret_program);
void vk_program_free(struct qvf_program *program);
/* Records a program that walks again, without walking; no run of it may be going. */
int vk_program_stand(struct qvf_program *program);

/* run.c */
int vk_runner_new(struct qvf_device *device, struct vk_runner **ret_runner);
void vk_runner_free(struct vk_runner *runner);
int vk_runner_event_fd(struct vk_runner *runner);
int vk_submit(struct qvf_program *program, const struct qvf_args *args);
int vk_wait(struct qvf_program *program, int timeout_ms);
int vk_pause(struct qvf_program *program, bool on);
void vk_abandon(struct qvf_program *program);

#endif
