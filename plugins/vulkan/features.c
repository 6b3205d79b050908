/* SPDX-License-Identifier: Apache-2.0 */
/* Vulkan 1.1 is the floor; what is above it is used where it is there. */
#include <string.h>

#include "common/cleanup.h"
#include "plugins/vulkan/vulkan.h"

/* Of VK_KHR_cooperative_matrix, which the headers of Debian 12 do not know. */
#define MATRIX_EXTENSION "VK_KHR_cooperative_matrix"
#define MATRIX_FEATURES ((VkStructureType)1000506000)
#define MATRIX_PROPERTIES ((VkStructureType)1000506001)

enum { COMPONENT_FLOAT16 = 0, COMPONENT_FLOAT32 = 1, COMPONENT_SINT8 = 3, COMPONENT_SINT32 = 5 };
enum { SCOPE_SUBGROUP = 3 };

struct matrix_shape { /* VkCooperativeMatrixPropertiesKHR */
        VkStructureType type;
        void *next;
        uint32_t m, n, k;
        int a, b, c, result;
        VkBool32 saturating;
        int scope;
};

typedef VkResult (*matrix_shapes)(VkPhysicalDevice, uint32_t *, struct matrix_shape *);

static bool add_extension(struct vk_features_wanted *wanted, VkPhysicalDevice physical, const char *name,
                void *features)
{
        if (!vk_has_extension(physical, name) || wanted->n_extensions == VK_EXTENSIONS_MOST)
                return false;
        wanted->extensions[wanted->n_extensions++] = name;
        if (features) {
                VkBaseOutStructure *link = features;

                link->pNext = wanted->chain.pNext;
                wanted->chain.pNext = link;
        }
        return true;
}

static void find_matrix_shapes(VkInstance instance, VkPhysicalDevice physical, struct vk_features *features)
{
        matrix_shapes get = (matrix_shapes)vkGetInstanceProcAddr(
                        instance, "vkGetPhysicalDeviceCooperativeMatrixPropertiesKHR");
        struct matrix_shape shapes[128];
        uint32_t count = 128;

        for (uint32_t i = 0; i < count; i++)
                shapes[i] = (struct matrix_shape){ .type = MATRIX_PROPERTIES };
        if (!get || get(physical, &count, shapes) < 0)
                return;
        for (uint32_t i = 0; i < count; i++) {
                const struct matrix_shape *s = &shapes[i];

                if (s->scope != SCOPE_SUBGROUP || s->m != 16 || s->n != 16 || s->saturating)
                        continue;
                if (s->k == 32 && s->a == COMPONENT_SINT8 && s->b == COMPONENT_SINT8 &&
                                s->c == COMPONENT_SINT32 && s->result == COMPONENT_SINT32)
                        features->matrix_int8 = true;
                if (s->k == 16 && s->a == COMPONENT_FLOAT16 && s->b == COMPONENT_FLOAT16 &&
                                s->c == COMPONENT_FLOAT32 && s->result == COMPONENT_FLOAT32)
                        features->matrix_float16 = true;
        }
}

static void find_subgroups(VkPhysicalDevice physical, struct vk_features_wanted *wanted)
{
        const VkSubgroupFeatureFlags needed = VK_SUBGROUP_FEATURE_BASIC_BIT | VK_SUBGROUP_FEATURE_VOTE_BIT |
                                              VK_SUBGROUP_FEATURE_ARITHMETIC_BIT |
                                              VK_SUBGROUP_FEATURE_BALLOT_BIT |
                                              VK_SUBGROUP_FEATURE_SHUFFLE_BIT;
        VkPhysicalDeviceSubgroupSizeControlProperties control = {
                .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SUBGROUP_SIZE_CONTROL_PROPERTIES,
        };
        VkPhysicalDeviceSubgroupProperties subgroup = {
                .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SUBGROUP_PROPERTIES,
                .pNext = wanted->size_control.subgroupSizeControl ? &control : NULL,
        };
        VkPhysicalDeviceProperties2 properties = {
                .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PROPERTIES_2,
                .pNext = &subgroup,
        };
        bool one_size;

        vkGetPhysicalDeviceProperties2(physical, &properties);
        wanted->features.subgroup_size = subgroup.subgroupSize;
        /* Without size control the size may differ from the one told, unless there is only one. */
        wanted->sets_subgroup_size = wanted->size_control.subgroupSizeControl &&
                                     (control.requiredSubgroupSizeStages & VK_SHADER_STAGE_COMPUTE_BIT);
        one_size = wanted->size_control.subgroupSizeControl &&
                   (control.requiredSubgroupSizeStages & VK_SHADER_STAGE_COMPUTE_BIT ||
                                   control.minSubgroupSize == control.maxSubgroupSize);
        wanted->features.subgroup = one_size && (subgroup.supportedStages & VK_SHADER_STAGE_COMPUTE_BIT) &&
                                    (subgroup.supportedOperations & needed) == needed &&
                                    subgroup.subgroupSize >= 8 && subgroup.subgroupSize <= 64;
}

static void find_dot_product(VkPhysicalDevice physical, struct vk_features_wanted *wanted)
{
        VkPhysicalDeviceShaderIntegerDotProductProperties dot = {
                .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SHADER_INTEGER_DOT_PRODUCT_PROPERTIES,
        };
        VkPhysicalDeviceProperties2 properties = {
                .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PROPERTIES_2,
                .pNext = &dot,
        };

        if (!wanted->dot_product.shaderIntegerDotProduct)
                return;
        vkGetPhysicalDeviceProperties2(physical, &properties);
        wanted->features.dot_product = dot.integerDotProduct4x8BitPackedSignedAccelerated;
}

static void link_features(VkPhysicalDevice physical, struct vk_features_wanted *wanted)
{
        wanted->chain = (VkPhysicalDeviceFeatures2){ .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FEATURES_2 };
        wanted->storage16.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_16BIT_STORAGE_FEATURES;
        wanted->storage8.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_8BIT_STORAGE_FEATURES;
        wanted->arithmetic.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SHADER_FLOAT16_INT8_FEATURES;
        wanted->dot_product.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SHADER_INTEGER_DOT_PRODUCT_FEATURES;
        wanted->size_control.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SUBGROUP_SIZE_CONTROL_FEATURES;
        wanted->memory_model.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_MEMORY_MODEL_FEATURES;
        wanted->fault.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FAULT_FEATURES_EXT;
        wanted->address.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_BUFFER_DEVICE_ADDRESS_FEATURES;
        wanted->matrix.type = MATRIX_FEATURES;
        add_extension(wanted, physical, VK_KHR_16BIT_STORAGE_EXTENSION_NAME, &wanted->storage16);
        add_extension(wanted, physical, VK_KHR_8BIT_STORAGE_EXTENSION_NAME, &wanted->storage8);
        add_extension(wanted, physical, VK_KHR_SHADER_FLOAT16_INT8_EXTENSION_NAME, &wanted->arithmetic);
        add_extension(wanted, physical, VK_KHR_SHADER_INTEGER_DOT_PRODUCT_EXTENSION_NAME,
                        &wanted->dot_product);
        add_extension(wanted, physical, VK_EXT_SUBGROUP_SIZE_CONTROL_EXTENSION_NAME, &wanted->size_control);
        add_extension(wanted, physical, VK_KHR_VULKAN_MEMORY_MODEL_EXTENSION_NAME, &wanted->memory_model);
        add_extension(wanted, physical, VK_EXT_DEVICE_FAULT_EXTENSION_NAME, &wanted->fault);
        add_extension(wanted, physical, VK_KHR_BUFFER_DEVICE_ADDRESS_EXTENSION_NAME, &wanted->address);
        add_extension(wanted, physical, MATRIX_EXTENSION, &wanted->matrix);
        vkGetPhysicalDeviceFeatures2(physical, &wanted->chain);
        /* Bounds are checked by ourselves; the driver's checks cost time on every access. */
        wanted->chain.features = (VkPhysicalDeviceFeatures){
                .shaderInt16 = wanted->chain.features.shaderInt16,
        };
        wanted->matrix.robust_access = VK_FALSE;
        wanted->address.bufferDeviceAddressCaptureReplay = VK_FALSE;
        wanted->address.bufferDeviceAddressMultiDevice = VK_FALSE;
        wanted->fault.deviceFaultVendorBinary = VK_FALSE;
}

void vk_features_probe(VkInstance instance, VkPhysicalDevice physical, struct vk_features_wanted *wanted)
{
        VkPhysicalDeviceProperties properties;

        *wanted = (struct vk_features_wanted){ 0 };
        link_features(physical, wanted);
        wanted->host_import =
                        add_extension(wanted, physical, VK_EXT_EXTERNAL_MEMORY_HOST_EXTENSION_NAME, NULL);
        vkGetPhysicalDeviceProperties(physical, &properties);
        wanted->features.software = properties.deviceType == VK_PHYSICAL_DEVICE_TYPE_CPU;
        wanted->features.float16 =
                        wanted->storage16.storageBuffer16BitAccess && wanted->arithmetic.shaderFloat16;
        wanted->features.int8 = wanted->storage8.storageBuffer8BitAccess && wanted->arithmetic.shaderInt8;
        find_dot_product(physical, wanted);
        find_subgroups(physical, wanted);
        if (wanted->matrix.matrix && wanted->memory_model.vulkanMemoryModel && wanted->features.subgroup &&
                        wanted->features.float16 && wanted->features.int8)
                find_matrix_shapes(instance, physical, &wanted->features);
}
