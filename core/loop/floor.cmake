target_link_libraries(floor_loop PUBLIC uv)
