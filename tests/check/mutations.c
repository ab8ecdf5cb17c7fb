// SPDX-License-Identifier: Apache-2.0
// tests/check/mutations.c - one function a mutation; the table at the end names the rule.

#include "tests/check/mutations.h"

#include "tests/check/hand_images.h"

static void add_route(Image *m, uint32_t x, uint32_t y, uint32_t color, Side in, Side out)
{
    m->routes[m->n_routes++] = (RouteRect){{x, y, 1, 1, 1, 1}, color, in, 1u << out, 0};
}

static void hops_without_delay(Image *m)
{
    m->machine.hop = 0;
}

static void a_wafer_of_no_rows(Image *m)
{
    m->machine.height = 0;
}

static void an_operation_of_no_width(Image *m)
{
    m->machine.cost[COST_MAC][DT_F32].width.num = 0;
}

static void a_class_that_is_not_there(Image *m)
{
    m->cores[0].class_id = 3;
}

static void a_sixth_side(Image *m)
{
    m->routes[ROUTE_Y].in = SIDE_COUNT;
}

static void a_tensor_that_is_not_there(Image *m)
{
    m->ports[0].tensor = 2;
}

static void sixteen_million_cores(Image *m)
{
    m->machine.width = m->machine.height = 4096;
    m->cores[0].grid = (Grid){0, 0, 4096, 4096, 1, 1};
}

static void an_empty_tensor(Image *m)
{
    m->tensors[0].extent[0] = 0;
}

static void a_tensor_of_2_34_bytes(Image *m)
{
    m->tensors[1].rank = 2;
    m->tensors[1].extent[0] = m->tensors[1].extent[1] = 1u << 16;
}

static void a_data_word_beyond_32_bits(Image *m)
{
    m->cores[0].data[MATVEC_SPARE] = (Affine){INT32_MAX, 0, 1};
}

static void a_region_beyond_the_east_edge(Image *m)
{
    m->kernels[0].x = 6;
}

static void two_regions_on_one_place(Image *m)
{
    m->kernels[1].x = m->kernels[1].y = 3;
}

static void a_rectangle_beyond_the_south_edge(Image *m)
{
    m->cores[0].grid.y = 7;
}

static void a_rectangle_moved_onto_another(Image *m)
{
    m->cores[1].grid.x = 2;
}

static void a_rectangle_moved_out_of_its_region(Image *m)
{
    m->cores[0].grid.x = 1;
}

static void dead(Image *m, DefectRun run)
{
    m->defects.runs[0] = m->defects.runs[1] = run;
    m->defects.n = 1;
}

static void dead_cores_off_the_wafer(Image *m)
{
    dead(m, (DefectRun){1, 7, 2});
}

static void the_same_dead_core_twice(Image *m)
{
    dead(m, (DefectRun){6, 3, 1});
    m->defects.n = 2;
}

static void more_spare_columns_than_columns(Image *m)
{
    m->machine.spare_columns = MACHINE_MAX_EXTENT + 1;
}

static void a_program_in_a_hole(Image *m)
{
    dead(m, (DefectRun){2, 2, DEFECT_SKIP + 1});
}

static void a_port_at_a_row_without_its_last_core(Image *m)
{
    dead(m, (DefectRun){2, 7, 1});
}

static void a_route_through_a_hole(Image *m)
{
    add_route(m, 4, 6, 5, SIDE_W, SIDE_E);
    dead(m, (DefectRun){6, 3, DEFECT_SKIP + 1});
}

static void a_reserved_color(Image *m)
{
    m->cores[0].channels[0].color = 21;
}

static void a_route_of_a_reserved_color(Image *m)
{
    m->routes[ROUTE_Y].color = 23;
}

static void more_colors_in_than_queues(Image *m)
{
    m->machine.queues_in = 1;
}

static void more_colors_out_than_queues(Image *m)
{
    m->machine.queues_out = 0;
}

static void two_queues_of_one_color(Image *m)
{
    m->cores[1].channels[1].color = 2;
}

static void a_port_beyond_the_machine(Image *m)
{
    m->ports[2].y = 8;
}

static void a_port_on_the_north_edge(Image *m)
{
    m->ports[2].side = SIDE_N;
}

static void two_ports_on_one_row(Image *m)
{
    m->ports[2].y = 2;
}

static void more_ports_than_the_edge_has(Image *m)
{
    m->machine.ports_east = 1;
}

static void two_words_a_cycle(Image *m)
{
    m->ports[0].q = 2;
}

static void more_than_the_host_passes(Image *m)
{
    m->machine.host_words.num = 2;
}

static void a_source_that_runs_the_program_of_a_sink(Image *m)
{
    m->ports[0].class_id = 1;
}

static void a_port_that_computes(Image *m)
{
    m->classes[1].ops[1].code = OPCODE_ADD;
    m->classes[1].ops[1].src[1] = (Operand){.kind = OPERAND_FLOAT};
}

static void a_tensor_of_another_type(Image *m)
{
    m->tensors[0].dtype = DT_I32;
}

static void a_port_beyond_its_tensor(Image *m)
{
    m->ports[2].data[0] = 12;
}

static void an_element_written_twice(Image *m)
{
    m->ports[2].data[0] = 4;
}

static void an_element_never_written(Image *m)
{
    m->tensors[1].extent[0] = 5;
}

static void a_port_without_a_route(Image *m)
{
    m->routes[ROUTE_X_IN].grid = (Grid){1, 2, 1, 1, 1, 1};
}

static void a_route_beyond_the_east_edge(Image *m)
{
    m->routes[ROUTE_Y_OUT].grid.nx = 4;
}

static void two_routes_of_one_color_crossing(Image *m)
{
    m->routes[ROUTE_CHAIN_0].color = 2;
}

static void back_where_it_comes_from(Image *m)
{
    m->routes[ROUTE_Y_OUT].out |= 1u << SIDE_W;
}

static void out_where_no_port_takes_it(Image *m)
{
    m->ports[1].color = 4;
}

static void a_route_that_ends_too_early(Image *m)
{
    m->routes[ROUTE_Y_OUT].grid.nx = 2;
}

static void a_router_that_sends_nowhere(Image *m)
{
    m->routes[ROUTE_X_BOTTOM].out = 0;
}

static void a_redirected_lane(Image *m)
{
    m->routes[ROUTE_Y].out = 1u << SIDE_S;
    m->routes[ROUTE_Y].grid.ny = 2;
}

static void a_router_that_listens_to_the_wrong_side(Image *m)
{
    m->routes[ROUTE_X_BOTTOM].in = SIDE_E;
}

static void a_loop(Image *m)
{
    add_route(m, 0, 5, 7, SIDE_S, SIDE_E);
    add_route(m, 1, 5, 7, SIDE_W, SIDE_S);
    add_route(m, 1, 6, 7, SIDE_N, SIDE_W);
    add_route(m, 0, 6, 7, SIDE_E, SIDE_N);
}

static void a_router_that_nothing_sends_to(Image *m)
{
    add_route(m, 0, 5, 7, SIDE_S, SIDE_E);
}

static void a_router_whose_core_does_not_send(Image *m)
{
    add_route(m, 2, 2, 7, SIDE_RAMP, SIDE_N);
}

static void delivered_where_there_is_no_core(Image *m)
{
    m->routes[ROUTE_Y_OUT].out |= 1u << SIDE_RAMP;
}

static void delivered_to_a_core_that_does_not_receive_it(Image *m)
{
    m->cores[0].channels[0].color = -1;
}

static void a_core_that_sends_without_a_route(Image *m)
{
    m->routes[ROUTE_Y].grid.ny = 1;
}

static void a_core_that_is_not_reached(Image *m)
{
    m->routes[ROUTE_X_CORNER].out = 1u << SIDE_RAMP;
    m->routes[ROUTE_X_BOTTOM].grid.nx = 2;
}

static void needs_49_153_bytes(Image *m)
{
    Segment *s = &m->cores[0].segments[MATVEC_SUM];
    s->address = 49145;
}

static void a_buffer_within_the_reserve(Image *m)
{
    m->cores[0].segments[MATVEC_SUM].address = 2032;
}

static void overlapping_buffers(Image *m)
{
    m->cores[0].segments[MATVEC_SUM].address -= 16;
}

static void code_that_is_one_operation_short(Image *m)
{
    m->cores[0].segments[MATVEC_CODE_SEGMENT].bytes -= 16;
}

static void code_elsewhere(Image *m)
{
    m->cores[0].segments[MATVEC_CODE_SEGMENT].address += 16;
}

static void data_that_are_one_word_short(Image *m)
{
    m->cores[0].segments[MATVEC_DATA_SEGMENT].bytes -= 4;
}

static void a_ring_larger_than_its_memory(Image *m)
{
    m->cores[0].channels[0].slots = 3;
}

static void a_ring_in_a_buffer(Image *m)
{
    m->cores[0].segments[MATVEC_RING_X].kind = SEGMENT_BUFFER;
}

static void two_channels_with_one_ring(Image *m)
{
    Channel *c = m->cores[1].channels;
    c[1].ring = c[0].ring;
    c[1].slots = c[0].slots;
    c[1].slot_words = c[0].slot_words;
}

static void initial_contents_beyond_the_weights(Image *m)
{
    m->cores[0].inits[0].address += 4;
}

static void weights_from_beyond_the_image(Image *m)
{
    m->cores[0].inits[0].pitch_j = 96;
}

static void weights_from_before_the_image(Image *m)
{
    m->cores[0].inits[0].pitch_j = -48;
}

static void receiving_from_an_outgoing_channel(Image *m)
{
    m->classes[2].ops[MATVEC_OP_RECEIVE].src[0].channel = 2;
}

static void a_loop_that_ends_elsewhere(Image *m)
{
    m->classes[2].ops[3].match = 8;
}

static void a_negative_count(Image *m)
{
    m->cores[0].data[MATVEC_MIDDLE].value = -1;
}

static void a_negative_extent(Image *m)
{
    m->cores[0].data[MATVEC_LENGTH].value = -1;
}

static void a_loop_of_2_29_turns(Image *m)
{
    m->cores[0].data[MATVEC_FIRST].value = 1 << 29;
}

static void a_table_beyond_the_data(Image *m)
{
    m->classes[2].ops[MATVEC_OP_SEND].extent[3] = TABLE(MATVEC_SPARE, 0);
    m->cores[0].data[MATVEC_SPARE].value = 2;
    m->cores[0].data[MATVEC_FIRST].value = 2;
}

static void a_ring_of_no_rows(Image *m)
{
    Operand *x = &m->classes[2].ops[MATVEC_OP_MAC].src[1];
    x->ring_pitch = IMM(4);
    x->ring_modulus = DATA(MATVEC_SPARE);
}

static void reading_beyond_a_buffer(Image *m)
{
    m->cores[2].data[MATVEC_PART].value += 4;
}

static void writing_into_a_ring(Image *m)
{
    m->classes[2].ops[MATVEC_OP_CLEAR].dst.base = IMM(4176);
}

static void writing_into_code(Image *m)
{
    m->classes[2].ops[MATVEC_OP_CLEAR].dst.base = IMM(2048);
}

static void writing_to_weights(Image *m)
{
    m->classes[2].ops[MATVEC_OP_CLEAR].dst.base = IMM(4096);
}

static void half_an_element_off(Image *m)
{
    m->cores[0].data[MATVEC_PART].value += 2;
}

static void summing_up_over_the_input(Image *m)
{
    m->classes[2].ops[MATVEC_OP_MAC].dst.base = IMM(4128);
}

static void receiving_without_a_color(Image *m)
{
    m->cores[0].data[MATVEC_MIDDLE].value = 1;
}

static void a_message_of_nothing(Image *m)
{
    m->cores[0].data[MATVEC_LENGTH].value = 0;
}

static void a_wrong_count_on_one_branch(Image *m)
{
    m->cores[0].data[MATVEC_FIRST].value = 2;
}

static void a_core_that_takes_nothing(Image *m)
{
    m->cores[2].data[MATVEC_LAST].value = 0;
}

static void five_words_of_six(Image *m)
{
    m->cores[1].data[MATVEC_LENGTH].value = 5;
}

static void slots_of_half_a_message(Image *m)
{
    m->cores[0].channels[0].slots = 4;
    m->cores[0].channels[0].slot_words = 3;
}

static void a_ring_too_small_for_the_long_way(Image *m)
{
    m->cores[2].channels[1].slots = 1;
    m->cores[2].segments[3].bytes = 16;
}

const Mutation mutations[] = {
    {CHECK_MACHINE, "hops without delay", matvec_image, hops_without_delay},
    {CHECK_MACHINE, "a wafer of no rows", matvec_image, a_wafer_of_no_rows},
    {CHECK_MACHINE, "an operation of no width", matvec_image, an_operation_of_no_width},
    {CHECK_INDEX, "a class that is not there", matvec_image, a_class_that_is_not_there},
    {CHECK_INDEX, "a sixth side", matvec_image, a_sixth_side},
    {CHECK_INDEX, "a tensor that is not there", matvec_image, a_tensor_that_is_not_there},
    {CHECK_SIZE, "sixteen million cores", matvec_image, sixteen_million_cores},
    {CHECK_TENSOR, "an empty tensor", matvec_image, an_empty_tensor},
    {CHECK_TENSOR, "a tensor of 2^34 bytes", matvec_image, a_tensor_of_2_34_bytes},
    {CHECK_DATA_RANGE, "a data word beyond 32 bits", matvec_image, a_data_word_beyond_32_bits},
    {CHECK_KERNEL_OUTSIDE, "a region beyond the east edge", matvec_image,
     a_region_beyond_the_east_edge},
    {CHECK_KERNEL_OVERLAP, "two regions on one place", matvec_image, two_regions_on_one_place},
    {CHECK_CORE_OUTSIDE, "a rectangle beyond the south edge", matvec_image,
     a_rectangle_beyond_the_south_edge},
    {CHECK_CORE_OVERLAP, "a rectangle moved onto another", matvec_image,
     a_rectangle_moved_onto_another},
    {CHECK_CORE_KERNEL, "a rectangle moved out of its region", matvec_image,
     a_rectangle_moved_out_of_its_region},
    {CHECK_COLOR, "a reserved color", matvec_image, a_reserved_color},
    {CHECK_COLOR, "a route of a reserved color", matvec_image, a_route_of_a_reserved_color},
    {CHECK_QUEUES_IN, "more colors in than queues", matvec_image, more_colors_in_than_queues},
    {CHECK_QUEUES_OUT, "more colors out than queues", matvec_image, more_colors_out_than_queues},
    {CHECK_QUEUE_TWICE, "two queues of one color", matvec_image, two_queues_of_one_color},
    {CHECK_PORT_PLACE, "a port beyond the machine", matvec_image, a_port_beyond_the_machine},
    {CHECK_PORT_PLACE, "a port on the north edge", matvec_image, a_port_on_the_north_edge},
    {CHECK_PORT_ROW, "two ports on one row", matvec_image, two_ports_on_one_row},
    {CHECK_PORT_COUNT, "more ports than the edge has", matvec_image, more_ports_than_the_edge_has},
    {CHECK_PORT_RATE, "two words a cycle", matvec_image, two_words_a_cycle},
    {CHECK_PORT_BANDWIDTH, "more than the host passes", matvec_image, more_than_the_host_passes},
    {CHECK_PORT_CLASS, "a source that runs the program of a sink", matvec_image,
     a_source_that_runs_the_program_of_a_sink},
    {CHECK_PORT_CLASS, "a port that computes", matvec_image, a_port_that_computes},
    {CHECK_PORT_DTYPE, "a tensor of another type", matvec_image, a_tensor_of_another_type},
    {CHECK_PORT_RANGE, "a port beyond its tensor", matvec_image, a_port_beyond_its_tensor},
    {CHECK_PORT_OUTPUT, "an element written twice", matvec_image, an_element_written_twice},
    {CHECK_PORT_OUTPUT, "an element never written", matvec_image, an_element_never_written},
    {CHECK_PORT_ROUTE, "a port without a route", matvec_image, a_port_without_a_route},
    {CHECK_ROUTE_OUTSIDE, "a route beyond the east edge", matvec_image,
     a_route_beyond_the_east_edge},
    {CHECK_ROUTE_CROSSING, "two routes of one color crossing", matvec_image,
     two_routes_of_one_color_crossing},
    {CHECK_ROUTE_RETURN, "back where it comes from", matvec_image, back_where_it_comes_from},
    {CHECK_ROUTE_EDGE, "out where no port takes it", matvec_image, out_where_no_port_takes_it},
    {CHECK_DEFECTS, "dead cores off the wafer", matvec_image, dead_cores_off_the_wafer},
    {CHECK_DEFECTS, "the same dead core twice", matvec_image, the_same_dead_core_twice},
    {CHECK_MACHINE, "more spare columns than columns", matvec_image,
     more_spare_columns_than_columns},
    {CHECK_CORE_DEAD, "a program in a hole", matvec_image, a_program_in_a_hole},
    {CHECK_PORT_DEAD, "a port at a row without its last core", matvec_image,
     a_port_at_a_row_without_its_last_core},
    {CHECK_ROUTE_DEAD, "a route through a hole", matvec_image, a_route_through_a_hole},
    {CHECK_ROUTE_DANGLING, "a route that ends too early", matvec_image,
     a_route_that_ends_too_early},
    {CHECK_ROUTE_DANGLING, "a router that sends nowhere", matvec_image,
     a_router_that_sends_nowhere},
    {CHECK_ROUTE_SIDE, "a redirected lane", matvec_image, a_redirected_lane},
    {CHECK_ROUTE_SIDE, "a router that listens to the wrong side", matvec_image,
     a_router_that_listens_to_the_wrong_side},
    {CHECK_ROUTE_LOOP, "a loop", matvec_image, a_loop},
    {CHECK_ROUTE_UNREACHED, "a router that nothing sends to", matvec_image,
     a_router_that_nothing_sends_to},
    {CHECK_ROUTE_SOURCE, "a router whose core does not send", matvec_image,
     a_router_whose_core_does_not_send},
    {CHECK_ROUTE_RAMP, "delivered where there is no core", matvec_image,
     delivered_where_there_is_no_core},
    {CHECK_ROUTE_RAMP, "delivered to a core that does not receive it", matvec_image,
     delivered_to_a_core_that_does_not_receive_it},
    {CHECK_CHANNEL_UNSENT, "a core that sends without a route", matvec_image,
     a_core_that_sends_without_a_route},
    {CHECK_CHANNEL_UNFED, "a core that is not reached", matvec_image, a_core_that_is_not_reached},
    {CHECK_MEMORY_SIZE, "49,153 bytes", matvec_image, needs_49_153_bytes},
    {CHECK_MEMORY_RESERVE, "a buffer within the reserve", matvec_image,
     a_buffer_within_the_reserve},
    {CHECK_MEMORY_OVERLAP, "overlapping buffers", matvec_image, overlapping_buffers},
    {CHECK_MEMORY_CODE, "code that is one operation short", matvec_image,
     code_that_is_one_operation_short},
    {CHECK_MEMORY_CODE, "code elsewhere", matvec_image, code_elsewhere},
    {CHECK_MEMORY_DATA, "data that are one word short", matvec_image, data_that_are_one_word_short},
    {CHECK_RING_SEGMENT, "a ring larger than its memory", matvec_image,
     a_ring_larger_than_its_memory},
    {CHECK_RING_SEGMENT, "a ring in a buffer", matvec_image, a_ring_in_a_buffer},
    {CHECK_RING_SHARED, "two channels with one ring", matvec_image, two_channels_with_one_ring},
    {CHECK_INIT_RANGE, "initial contents beyond the weights", matvec_image,
     initial_contents_beyond_the_weights},
    {CHECK_INIT_DATA, "weights from beyond the image", matvec_image, weights_from_beyond_the_image},
    {CHECK_INIT_DATA, "weights from before the image", matvec_image, weights_from_before_the_image},
    {CHECK_PROGRAM, "receiving from an outgoing channel", matvec_image,
     receiving_from_an_outgoing_channel},
    {CHECK_PROGRAM, "a loop that ends elsewhere", matvec_image, a_loop_that_ends_elsewhere},
    {CHECK_LOOP_COUNT, "a negative count", matvec_image, a_negative_count},
    {CHECK_EXTENT, "a negative extent", matvec_image, a_negative_extent},
    {CHECK_LENGTH, "a loop of 2^29 turns", matvec_image, a_loop_of_2_29_turns},
    {CHECK_TABLE, "a table beyond the data", matvec_image, a_table_beyond_the_data},
    {CHECK_RING_TERM, "a ring of no rows", matvec_image, a_ring_of_no_rows},
    {CHECK_OPERAND_RANGE, "reading beyond a buffer", matvec_image, reading_beyond_a_buffer},
    {CHECK_OPERAND_RANGE, "writing into a ring", matvec_image, writing_into_a_ring},
    {CHECK_OPERAND_RANGE, "writing into code", matvec_image, writing_into_code},
    {CHECK_OPERAND_CONSTANT, "writing to weights", matvec_image, writing_to_weights},
    {CHECK_OPERAND_ALIGN, "half an element off", matvec_image, half_an_element_off},
    {CHECK_ALIAS, "summing up over the input", matvec_image, summing_up_over_the_input},
    {CHECK_CHANNEL_UNUSED, "receiving without a color", matvec_image, receiving_without_a_color},
    {CHECK_MESSAGE_EMPTY, "a message of nothing", matvec_image, a_message_of_nothing},
    {CHECK_BALANCE, "a wrong count on one branch", matvec_image, a_wrong_count_on_one_branch},
    {CHECK_BALANCE, "a core that takes nothing", matvec_image, a_core_that_takes_nothing},
    {CHECK_MESSAGE_WORDS, "five words of six", matvec_image, five_words_of_six},
    {CHECK_MESSAGE_SLOT, "slots of half a message", matvec_image, slots_of_half_a_message},
    {CHECK_DEADLOCK, "a ring too small for the long way", residual_image,
     a_ring_too_small_for_the_long_way},
};

const size_t n_mutations = sizeof mutations / sizeof *mutations;
